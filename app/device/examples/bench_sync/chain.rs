//! A device's chain of events, without the device. `bench backend` uses it, too.

use crate::people::{Applicants, Random};
use uuid::Uuid;
use vereda_domain::client::{CONSENT_TEXT_VERSION, Consent};
use vereda_domain::event::{ChainHead, Event, EventBody, Sealed};
use vereda_domain::hlc::{Clock, Hlc};
use vereda_domain::{BranchId, ClientId, DeviceId, UserId};

/// A device's chain, in memory.
#[derive(Clone)]
pub struct Chain {
    device: DeviceId,
    actor: UserId,
    branch: BranchId,
    head: ChainHead,
    clock: Clock,
}

#[allow(dead_code, clippy::len_without_is_empty)] // Each measurement uses its part.
impl Chain {
    /// A new one.
    pub fn new(device: DeviceId, actor: UserId, branch: BranchId) -> Chain {
        Chain { device, actor, branch, head: ChainHead::EMPTY, clock: Clock::new(device) }
    }

    /// How many events it has.
    pub fn len(&self) -> u64 {
        self.head.seq
    }

    /// When the last one was, in causal order.
    pub fn last(&self) -> Hlc {
        self.clock.last()
    }

    /// The next event's text.
    pub fn next(
        &mut self,
        at: i64,
        body: EventBody,
    ) -> Result<Box<serde_json::value::RawValue>, serde_json::Error> {
        let event = Event {
            device: self.device,
            seq: self.head.seq + 1,
            prev: self.head.hash,
            hlc: self.clock.tick(at),
            at,
            actor: self.actor,
            branch: self.branch,
            body,
        };
        let sealed = Sealed::seal(event)?;
        self.head = ChainHead { seq: sealed.event.seq, hash: sealed.hash };
        serde_json::value::RawValue::from_string(sealed.text)
    }
}

impl Applicants {
    /// A client's capture.
    pub fn captured(&mut self, client: ClientId, at: i64) -> EventBody {
        let consent = Consent { at, text_version: CONSENT_TEXT_VERSION.into() };
        EventBody::ClientCaptured { client, fields: self.fields(), consent }
    }

    /// A UUIDv7 of that time.
    pub fn id(&mut self, at: i64) -> Uuid {
        let random: &mut Random = &mut self.random;
        let (a, b) = (random.next().to_be_bytes(), random.next().to_be_bytes());
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&a);
        bytes[8..].copy_from_slice(&b[..2]);
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(at).unwrap_or(0), &bytes).into_uuid()
    }
}
