//! Identifiers: UUIDv7, made where there is a random number generator, and typed so that one is
//! never taken for another.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    )*};
}

ids! {
    /// One enrolment of one user on one machine: the owner of an event chain.
    DeviceId;
    /// Somebody, or another system, who signs in.
    UserId;
    /// A branch of the institution.
    BranchId;
    /// A client.
    ClientId;
    /// One score of one client, with what led to it.
    AssessmentId;
    /// A secret of another system; never the secret itself.
    SecretId;
    /// An interview that has not been scored yet; never leaves the device.
    DraftId;
}
