//! What happened, sealed into one hash chain per device.
//!
//! An event is a line of JSON whose exact bytes are kept for ever on both sides: the device stores
//! the text it hashed, sends that text, and the server hashes and stores the text it received. So
//! an event of a kind that the reader does not know yet is still stored and still proven.

use crate::attachment::Attachment;
use crate::client::{ClientField, ClientFields, Consent};
use crate::hlc::Hlc;
use crate::{AssessmentId, BranchId, ClientId, Decision, DeviceId, Millis, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use vereda_scoring::bundle::Group;
use vereda_scoring::{Contribution, Inputs, ModelRef, Reason};

/// The largest event accepted, in bytes of its text.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// SHA-256, as 64 lower-case hexadecimal digits in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first event of a chain names as its predecessor.
    pub const ZERO: Hash = Hash([0; 32]);

    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl std::str::FromStr for Hash {
    type Err = hex::FromHexError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Hash(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::read::parsed(deserializer)
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Whose chain it stands in.
    pub device: DeviceId,
    /// 1 for the first of the chain, then without gaps.
    pub seq: u64,
    /// The hash of the predecessor's text; [`Hash::ZERO`] for the first.
    pub prev: Hash,
    /// When, in causal order.
    pub hlc: Hlc,
    /// When, by the device's own clock: evidence, not order.
    pub at: Millis,
    /// Who did it.
    pub actor: UserId,
    /// For which branch.
    pub branch: BranchId,
    /// What.
    pub body: EventBody,
}

impl Event {
    /// What every version writes of it.
    pub fn header(&self) -> Header {
        let Event { device, seq, prev, hlc, at, actor, branch, body: _ } = *self;
        Header { device, seq, prev, hlc, at, actor, branch }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// A client was taken down for the first time.
    ClientCaptured {
        /// The new client.
        client: ClientId,
        /// All that is known.
        fields: ClientFields,
        /// The agreement to have it processed.
        consent: Consent,
    },
    /// Fields of a client were changed.
    ClientEdited {
        /// Which.
        client: ClientId,
        /// By field.
        edits: BTreeMap<ClientField, Edit>,
    },
    /// A picture, a signature or a place was added to a client.
    Attached {
        /// Which.
        client: ClientId,
        /// What; a file's bytes follow apart.
        attachment: Attachment,
    },
    /// A client was scored.
    Assessed(Box<Assessment>),
    /// Somebody decided on an assessment.
    Decided {
        /// Which.
        assessment: AssessmentId,
        /// Of which client.
        client: ClientId,
        /// How.
        decision: Decision,
        /// Required when the decision is not the one the group suggests.
        override_reason: Option<OverrideReason>,
        /// The decisions that it was made in knowledge of: `AssessmentRecord::heads`. One that it
        /// does not name is concurrent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        replaces: Vec<Hlc>,
    },
}

impl EventBody {
    /// What [`Self::kind`] may say in this version.
    pub const KINDS: [&str; 5] = ["client_captured", "client_edited", "attached", "assessed", "decided"];

    /// Its `type` in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            EventBody::ClientCaptured { .. } => "client_captured",
            EventBody::ClientEdited { .. } => "client_edited",
            EventBody::Attached { .. } => "attached",
            EventBody::Assessed(_) => "assessed",
            EventBody::Decided { .. } => "decided",
        }
    }
}

/// A new value of a field, and which writes it was made in knowledge of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The new value.
    pub value: String,
    /// The writes that it replaces; one that it does not name is concurrent and stays as a conflict.
    pub replaces: Vec<Hlc>,
}

/// One score of one client, with everything that is needed to compute it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Assessment {
    /// Its identifier.
    pub id: AssessmentId,
    /// Of whom.
    pub client: ClientId,
    /// By which model, to the byte.
    pub model: ModelRef,
    /// What was answered.
    #[cfg_attr(feature = "schema", schema(value_type = std::collections::BTreeMap<String, crate::schema::Answer>))]
    pub inputs: Inputs,
    /// What the model said.
    pub score: RecordedScore,
}

/// What the model said, with the margin's bits so that no reader's number parser can blur it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RecordedScore {
    /// Log-odds of default before calibration.
    pub margin: f64,
    /// The margin's f64 bits, 16 hexadecimal digits.
    pub margin_bits: String,
    /// PD.
    pub probability: f64,
    /// T1..T8.
    pub group: Group,
    /// The margin of the reference, to which the contributions add up.
    pub bias: f64,
    /// Per scored feature, in log-odds.
    pub contributions: Vec<Contribution>,
    /// The main ones, in words.
    pub reasons: Vec<Reason>,
}

impl From<vereda_scoring::Score> for RecordedScore {
    fn from(score: vereda_scoring::Score) -> Self {
        RecordedScore {
            margin: score.margin,
            margin_bits: margin_bits(score.margin),
            probability: score.probability,
            group: score.group,
            bias: score.bias,
            contributions: score.contributions,
            reasons: score.reasons,
        }
    }
}

/// The f64 bits of a margin as 16 hexadecimal digits.
pub fn margin_bits(margin: f64) -> String {
    format!("{:016x}", margin.to_bits())
}

/// Why a decision is not the suggested one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OverrideReason {
    /// From the list.
    pub code: OverrideCode,
    /// In words; not empty.
    pub words: String,
}

/// The list of reasons for an override.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OverrideCode {
    /// Repaid well, or badly, before.
    KnownClient,
    /// A guarantee or guarantor changes the picture.
    Guarantee,
    /// Income or debt that the form does not ask for.
    NotInTheForm,
    /// An answer is doubted.
    DoubtfulData,
    /// A rule of the institution.
    Policy,
    /// Anything else; the words say what.
    Other,
}

impl OverrideCode {
    /// The list, in the order it is shown.
    pub const ALL: [OverrideCode; 6] = [
        OverrideCode::KnownClient,
        OverrideCode::Guarantee,
        OverrideCode::NotInTheForm,
        OverrideCode::DoubtfulData,
        OverrideCode::Policy,
        OverrideCode::Other,
    ];

    /// The name in JSON and in the catalogues.
    pub fn as_str(self) -> &'static str {
        match self {
            OverrideCode::KnownClient => "known_client",
            OverrideCode::Guarantee => "guarantee",
            OverrideCode::NotInTheForm => "not_in_the_form",
            OverrideCode::DoubtfulData => "doubtful_data",
            OverrideCode::Policy => "policy",
            OverrideCode::Other => "other",
        }
    }
}

/// An event with the text it was hashed as.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    /// What the text says.
    pub event: Event,
    /// One JSON object without line breaks: the bytes that are stored, sent and hashed.
    pub text: String,
    /// SHA-256 of `text`.
    pub hash: Hash,
}

impl Sealed {
    /// Writes an event down.
    ///
    /// # Errors
    /// When a number in it is not finite, which JSON cannot hold.
    pub fn seal(event: Event) -> Result<Sealed, serde_json::Error> {
        let text = serde_json::to_string(&event)?;
        // JSON writes what is not finite as null without a word, so the text is read back.
        if serde_json::from_str::<Event>(&text)? != event {
            return Err(serde::ser::Error::custom("the event does not read back as it was written"));
        }
        let hash = Hash::of(text.as_bytes());
        Ok(Sealed { event, text, hash })
    }
}

/// The part of an event that every version writes, readable even if the body is of a kind that the
/// reader does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// See [`Event::device`].
    pub device: DeviceId,
    /// See [`Event::seq`].
    pub seq: u64,
    /// See [`Event::prev`].
    pub prev: Hash,
    /// See [`Event::hlc`].
    pub hlc: Hlc,
    /// See [`Event::at`].
    pub at: Millis,
    /// See [`Event::actor`].
    pub actor: UserId,
    /// See [`Event::branch`].
    pub branch: BranchId,
}

/// What stays of an event when the data of its client is erased: who wrote it when, and the hash that its text
/// had, on which the rest of the chain stands. It takes the text's place wherever that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stub {
    /// As it was.
    #[serde(flatten)]
    pub header: Header,
    body: StubBody,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StubBody {
    Erased { hash: Hash },
}

impl Stub {
    /// Of an event that had this hash.
    pub fn new(header: Header, hash: Hash) -> Stub {
        Stub { header, body: StubBody::Erased { hash } }
    }

    /// What is to be kept in the place of the text of an event, which had this hash.
    ///
    /// # Errors
    /// When the text has not even the header that every event has.
    pub fn in_place_of(text: &str, hash: Hash) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Stub::new(serde_json::from_str(text)?, hash))
    }

    /// If the text is one.
    pub fn read(text: &str) -> Option<Stub> {
        // An event may have the word in a value; nearly none has it at all.
        if !text.contains(r#""erased""#) {
            return None;
        }
        serde_json::from_str(text).ok()
    }

    /// Of the text that was here.
    pub fn hash(&self) -> Hash {
        let StubBody::Erased { hash } = self.body;
        hash
    }
}

/// The hash by which a text stands in its chain: its own, or the one that a [`Stub`] names.
pub fn chain_hash(text: &str) -> Hash {
    Stub::read(text).map_or_else(|| Hash::of(text.as_bytes()), |stub| stub.hash())
}

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ChainHead {
    /// The last sequence number; 0 for an empty chain.
    pub seq: u64,
    /// The last hash; [`Hash::ZERO`] for an empty chain.
    pub hash: Hash,
}

impl ChainHead {
    /// The head of a chain without events.
    pub const EMPTY: ChainHead = ChainHead { seq: 0, hash: Hash::ZERO };

    /// Whether an event continues the chain right after this head.
    pub fn precedes(&self, header: &Header) -> bool {
        self.seq.checked_add(1) == Some(header.seq) && self.hash == header.prev
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_stub_stands_in_the_chain_where_its_event_stood() {
        let node = DeviceId(uuid::Uuid::nil());
        let event = format!(
            r#"{{"device":"{node}","seq":3,"prev":"{z}","hlc":"0000000000001000.00000.{node}","at":1,"actor":"{node}","branch":"{node}","body":{{"type":"client_edited","name":"\"erased\""}}}}"#,
            z = Hash::ZERO
        );
        let hash = Hash::of(event.as_bytes());
        assert!(Stub::read(&event).is_none());
        assert_eq!(chain_hash(&event), hash);
        let stub = Stub::in_place_of(&event, hash).unwrap();
        assert_eq!(chain_hash(&stub), hash);
        let read = Stub::read(&stub).unwrap();
        assert_eq!((read.header.seq, read.hash()), (3, hash));
        assert_eq!(serde_json::from_str::<Header>(&stub).unwrap(), read.header);
        assert!(stub.contains(r#""type":"erased""#) && !EventBody::KINDS.contains(&"erased"));
        assert_eq!(Stub::in_place_of(&stub, hash).unwrap(), stub);
        assert!(Stub::in_place_of("{}", hash).is_err());
    }

    /// A kind that the list lacks would be taken for one of a later version.
    #[test]
    fn the_list_of_kinds_is_the_one_that_serde_reads() {
        let error = serde_json::from_str::<EventBody>(r#"{"type":"?"}"#).unwrap_err().to_string();
        let quoted: Vec<&str> = error.split('`').skip(1).step_by(2).collect();
        assert_eq!(quoted[0], "?", "{error}");
        assert_eq!(quoted[1..], EventBody::KINDS, "{error}");
    }
}
