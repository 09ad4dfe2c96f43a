//! Reading a push, and whether it continues the chain.

use super::PushError;
use crate::store::{Snapshot, StoredEvent};
use vereda_domain::ClientId;
use vereda_domain::api::{MAX_PUSH_EVENTS, Push};
use vereda_domain::event::{Event, EventBody, Hash, Header, MAX_EVENT_BYTES, Stub};
use vereda_domain::record::RecordKey;

/// One event as it came in.
#[derive(Debug)]
pub struct Incoming {
    /// Exactly as sent.
    pub text: String,
    /// Of `text`; of what it stands for, when it is what is left of an event.
    pub hash: Hash,
    /// What every version writes.
    pub header: Header,
    /// The whole of it, if this version can read it.
    pub event: Result<Event, Unread>,
    /// The client it is about, as far as can be told.
    pub client: Option<ClientId>,
}

/// Why an event with a good header cannot be read whole.
#[derive(Debug, Clone)]
pub enum Unread {
    /// Its body is of a type that this version does not know.
    UnknownKind(String),
    /// Its body is not of the shape of its type, or too large.
    Malformed(String),
    /// It is what is left of an event that had this hash: its client was erased.
    Erased(Hash),
}

impl Incoming {
    /// The records that decide about it.
    pub fn touches(&self) -> Vec<RecordKey> {
        let changes = self.event.as_ref().ok().map(|event| event.body.key());
        changes.into_iter().chain(self.client.map(RecordKey::Client)).collect()
    }
}

/// Reads every event and checks that they follow from each other.
pub fn read(push: Push) -> Result<Vec<Incoming>, PushError> {
    if push.events.len() > MAX_PUSH_EVENTS {
        return Err(PushError::TooMany);
    }
    let mut incoming = Vec::with_capacity(push.events.len());
    for (index, raw) in push.events.into_iter().enumerate() {
        let text = String::from(Box::<str>::from(raw));
        let event = body(&text);
        let header = match &event {
            Ok(event) => event.header(),
            Err(_) => serde_json::from_str(&text)
                .map_err(|e| PushError::Unreadable { index, why: e.to_string() })?,
        };
        if header.seq == 0 {
            return Err(PushError::Unreadable { index, why: "seq counts from 1".into() });
        }
        let hash = match &event {
            Err(Unread::Erased(hash)) => *hash,
            _ => Hash::of(text.as_bytes()),
        };
        let client = match &event {
            Ok(event) => Some(event.body.client()),
            Err(_) => named(&text),
        };
        incoming.push(Incoming { hash, header, event, client, text });
    }
    Ok(incoming)
}

fn body(text: &str) -> Result<Event, Unread> {
    if text.len() > MAX_EVENT_BYTES {
        return Err(Unread::Malformed(format!(
            "{} bytes; at most {MAX_EVENT_BYTES} are accepted",
            text.len()
        )));
    }
    serde_json::from_str::<Event>(text).map_err(|error| {
        #[derive(serde::Deserialize)]
        struct Kind {
            body: Tag,
        }
        #[derive(serde::Deserialize)]
        struct Tag {
            r#type: String,
        }
        if let Some(stub) = Stub::read(text) {
            return Unread::Erased(stub.hash());
        }
        match serde_json::from_str::<Kind>(text) {
            Ok(kind) if !EventBody::KINDS.contains(&kind.body.r#type.as_str()) => {
                Unread::UnknownKind(kind.body.r#type.chars().take(60).collect())
            }
            _ => Unread::Malformed(error.to_string()),
        }
    })
}

/// The client that a body of any shape names where every event names one.
fn named(text: &str) -> Option<ClientId> {
    #[derive(serde::Deserialize)]
    struct Named {
        body: Client,
    }
    #[derive(serde::Deserialize)]
    struct Client {
        client: ClientId,
    }
    serde_json::from_str::<Named>(text).ok().map(|named| named.body.client)
}

/// How much of the push is stored already. What is stored must be the same; the rest must follow.
pub fn verify<'s>(incoming: &[Incoming], snapshot: &'s Snapshot) -> Result<&'s [StoredEvent], PushError> {
    let gap = || PushError::Gap { resume: snapshot.head };
    let known = incoming.iter().take_while(|event| event.header.seq <= snapshot.head.seq).count();
    let stored = snapshot.stored.get(..known).ok_or_else(gap)?;
    for (event, stored) in incoming.iter().zip(stored) {
        if event.header.seq != stored.seq {
            return Err(gap());
        }
        if event.hash != stored.hash {
            return Err(PushError::Fork { seq: stored.seq, head: snapshot.head });
        }
    }
    let mut head = snapshot.head;
    for event in incoming.get(known..).unwrap_or_default() {
        if !head.precedes(&event.header) {
            return Err(gap());
        }
        head.seq = event.header.seq;
        head.hash = event.hash;
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_from_the_future_is_told_from_a_broken_event() {
        let event = |body: &str| {
            format!(
                r#"{{"device":"{d}","seq":1,"prev":"{z}","hlc":"0000000000001000.00000.{d}","at":1,"actor":"{d}","branch":"{d}","body":{body}}}"#,
                d = uuid::Uuid::nil(),
                z = Hash::ZERO
            )
        };
        assert!(matches!(body(&event(r#"{"type":"outcome_observed","x":1}"#)), Err(Unread::UnknownKind(_))));
        for kind in EventBody::KINDS {
            let broken = body(&event(&format!(r#"{{"type":"{kind}","client":7}}"#)));
            assert!(matches!(broken, Err(Unread::Malformed(_))), "{kind}: {broken:?}");
        }
        assert!(matches!(body(&event("7")), Err(Unread::Malformed(_))));
        let deep = format!(r#"{{"type":"assessed","x":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert!(matches!(body(&event(&deep)), Err(Unread::Malformed(_))));
        let large = format!(r#"{{"type":"assessed","x":"{}"}}"#, "a".repeat(MAX_EVENT_BYTES));
        assert!(matches!(body(&event(&large)), Err(Unread::Malformed(_))));
    }
}
