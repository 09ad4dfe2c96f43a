//! What somebody may ask of whoever has data about them: to see all of it, and to have it erased.

use super::HistoryEntry;
use crate::record::{AssessmentRecord, ClientRecord};
use crate::{BranchId, ClientId, Millis, UserId};
use serde::{Deserialize, Serialize};

/// Everything that is kept about a client. The bytes of files are asked for one by one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClientData {
    /// Who they are, with every value that was ever written, by whom and when, and what they agreed to.
    pub client: ClientRecord,
    /// Their scores and the decisions on them, as captured.
    pub assessments: Vec<AssessmentRecord>,
    /// Their scores, as the history has them.
    pub history: Vec<HistoryEntry>,
}

/// That the data of a client was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Erasure {
    /// Whose.
    pub client: ClientId,
    /// In which branch.
    pub branch: BranchId,
    /// Since when nobody sees it any more; milliseconds since 1970, UTC.
    pub erased_at: Millis,
    /// Since when no event that was stored holds it either; absent while they are gone through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swept_at: Option<Millis>,
    /// How many events lost their text so far.
    pub events: u64,
}

/// Whose scores are not to be told from those of others any more.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ForgetClientRef {
    /// Which service asked for them.
    pub service: UserId,
    /// What it calls the client.
    #[cfg_attr(
        feature = "schema",
        schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")
    )]
    pub client_ref: String,
}

impl std::fmt::Debug for ForgetClientRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForgetClientRef").field("service", &self.service).finish_non_exhaustive()
    }
}

/// How many scores that were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ForgottenClientRef {
    /// They stay, without the client.
    pub scores: u64,
}
