//! A chain that forked: this store was set back to a backup, and the server holds what followed.
//!
//! The device goes on under a new identity. What the server never acknowledged is recorded once more
//! in a chain of that identity's own, with the same words at the same times; the chain that forked is
//! kept aside, as it was.

use super::meta::{self, Identity};
use super::{chain, project};
use crate::error::{DeviceError, Result};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use vereda_domain::event::{ChainHead, Event, EventBody, Sealed, Stub};
use vereda_domain::hlc::Hlc;
use vereda_domain::record::{self, Record, RecordKey};

/// Moves the chain aside and records what waits in it again, for `new`. Gives how many events.
pub(crate) fn record_again(db: &Connection, old: &Identity, new: &Identity) -> Result<usize> {
    let texts: Vec<String> = {
        let mut statement = db.prepare("SELECT text FROM events WHERE status = 0 ORDER BY seq")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    db.prepare(
        "INSERT OR IGNORE INTO old_events (device, seq, hash, text, status, detail)
         SELECT ?1, seq, hash, text, status, detail FROM events",
    )?
    .execute([old.device.to_string()])?;
    db.execute("DELETE FROM events", [])?;

    let mut head = ChainHead::EMPTY;
    let mut names: BTreeMap<Hlc, Hlc> = BTreeMap::new();
    let mut again = Vec::with_capacity(texts.len());
    // What is left of an event about somebody who was erased has nothing to record again.
    for text in texts.iter().filter(|text| Stub::read(text).is_none()) {
        let before: Event = serde_json::from_str(text)?;
        let hlc = Hlc { node: new.device, ..before.hlc };
        names.insert(before.hlc, hlc);
        let event = Event {
            device: new.device,
            seq: head.seq + 1,
            prev: head.hash,
            hlc,
            body: renamed(before.body, &names),
            ..before
        };
        let sealed = Sealed::seal(event)?;
        head = ChainHead { seq: sealed.event.seq, hash: sealed.hash };
        chain::insert(db, &sealed)?;
        again.push(sealed.event);
    }
    let gone: BTreeSet<Hlc> = names.into_keys().collect();
    let keys: BTreeSet<RecordKey> = again.iter().map(|event| event.body.key()).collect();
    for key in keys {
        let mut record = project::load(db, &key)?.and_then(|record| record.without(&gone));
        for event in again.iter().filter(|event| event.body.key() == key) {
            record = Some(fold(record, event, new)?);
        }
        match &record {
            Some(record) => project::save(db, record)?,
            None => project::remove(db, &key)?,
        }
    }
    meta::clear(db, &meta::RECEIPT)?;
    meta::pull_anew(db)?;
    meta::clear(db, &meta::NEXT_DEVICE)?;
    Ok(again.len())
}

fn fold(record: Option<Record>, event: &Event, identity: &Identity) -> Result<Record> {
    record::fold(record, event, identity.user.role.rank())
        .map_err(|error| DeviceError::Internal(format!("an event recorded again does not fold: {error}")))
}

/// What an event replaces, under its names in both chains: the server may hold some of the old one.
fn renamed(mut body: EventBody, names: &BTreeMap<Hlc, Hlc>) -> EventBody {
    let both = |replaces: &mut Vec<Hlc>| {
        let added: Vec<Hlc> = replaces.iter().filter_map(|hlc| names.get(hlc).copied()).collect();
        replaces.extend(added);
    };
    match &mut body {
        EventBody::ClientEdited { edits, .. } => edits.values_mut().for_each(|edit| both(&mut edit.replaces)),
        EventBody::Decided { replaces, .. } => both(replaces),
        EventBody::ClientCaptured { .. } | EventBody::Attached { .. } | EventBody::Assessed(_) => {}
    }
    body
}
