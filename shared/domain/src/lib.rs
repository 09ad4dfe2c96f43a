//! Records, events, clocks, fold and merge, validation, and the types that cross every boundary.
//!
//! The same code folds events on a device and on the server, so both arrive at the same state
//! whatever the order, the partition and the repetition in which events reach them. There is no
//! I/O here, no clock and no random number: times and identifiers come in as arguments.
//!
//! - [`event`]: what happened, sealed into a hash chain per device.
//! - [`export`]: what a device brings out of its store when it cannot send it.
//! - [`hlc`]: the hybrid logical clock that orders writes.
//! - [`record`]: what events add up to: clients and assessments, joined as CRDTs.
//! - [`attachment`]: pictures, signatures and places.
//! - [`client`]: what is known of a client, how it is checked and compared.
//! - [`api`]: requests and answers between a device, or another system, and the server.
//! - [`gateway`]: requests and answers between the screens and what serves them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod attachment;
pub mod client;
pub mod event;
pub mod export;
pub mod gateway;
pub mod hlc;
pub mod ids;
pub mod read;
pub mod record;
pub mod register;
#[cfg(feature = "schema")]
pub mod schema;

pub use ids::{AssessmentId, BranchId, ClientId, DeviceId, DraftId, SecretId, UserId};
pub use vereda_scoring::bundle::Decision;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;
