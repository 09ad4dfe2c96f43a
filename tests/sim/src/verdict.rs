//! What must hold when the network is well again.
//!
//! 1. Every event that a device captured is on the server, exactly once, in its chain; every receipt
//!    that anybody was shown names what is there.
//! 2. Every device sees what a new device of the same user sees, which has nothing but what the
//!    server gave it; and officers see of their clients what the manager sees.
//! 3. No sync is blocked, and no record waits.
//! 4. Exactly the intruder's events are quarantined.

use crate::network::Weather;
use crate::world::{Device, World, told};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use uuid::Uuid;
use vereda_domain::event::{Hash, Header};
use vereda_domain::gateway::{ErrorCode, SyncState, SyncView};

/// Rounds of syncs after which all must be quiet: one to send, one to receive what others sent.
const ROUNDS: usize = 3;

/// The sky clears: late requests arrive, clocks are set right, disks have room, everybody syncs.
///
/// # Errors
/// When a device does not come to rest.
pub async fn heal(world: &mut World) -> Result<()> {
    world.time.set_server(0);
    for device in &mut world.devices {
        device.network.set(Weather::Fair);
        device.network.deliver_late().await;
        device.set_clock(0);
        device.make_room().await?;
    }
    for round in 0..ROUNDS {
        for device in &mut world.devices {
            let mut view = device.sync().await?;
            if view.line.state == (SyncState::Blocked { code: ErrorCode::SessionExpired }) {
                device.sign_in_again().await?;
                view = device.sync().await?;
            }
            if round + 1 == ROUNDS {
                ensure!(
                    view.line.state == SyncState::Idle
                        && view.line.waiting == 0
                        && view.line.files == 0
                        && view.line.quarantined == 0,
                    "the device of {} does not come to rest: {:?}, {:?}",
                    device.username,
                    view.line,
                    view.last_error
                );
            }
        }
    }
    Ok(())
}

/// Takes the verdict; gives the number of quarantined events.
///
/// # Errors
/// What does not hold.
pub async fn check(world: &mut World) -> Result<u64> {
    let mut shown = Vec::new();
    for device in &world.devices {
        shown.push(device.app.sync().await.map_err(told)?);
    }
    chains(world, &shown)?;
    let quarantined = quarantines(world)?;
    views(world).await?;
    Ok(quarantined)
}

struct Stored {
    seq: u64,
    hash: Hash,
    header: Header,
    text_hash: Hash,
}

fn chains(world: &World, shown: &[SyncView]) -> Result<()> {
    let database = world.server.database()?;
    let mut statement =
        database.prepare("SELECT seq, hash, text FROM events WHERE device = ?1 ORDER BY seq")?;
    for (device, view) in world.devices.iter().zip(shown) {
        let id: Uuid = view.device.parse().context("a device id")?;
        let rows = statement.query_map([id], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, Vec<u8>>(1)?, row.get::<_, String>(2)?))
        })?;
        let mut chain = Vec::new();
        for row in rows {
            let (seq, hash, text) = row?;
            let hash = Hash(hash.try_into().map_err(|_| anyhow::anyhow!("a hash of another length"))?);
            let header: Header = serde_json::from_str(&text)?;
            chain.push(Stored { seq, hash, header, text_hash: Hash::of(text.as_bytes()) });
        }
        let who = device.username;
        ensure!(
            chain.len() as u64 == device.captured,
            "{who} captured {} events and the server has {}",
            device.captured,
            chain.len()
        );
        let mut prev = Hash::ZERO;
        for (at, stored) in chain.iter().enumerate() {
            let seq = at as u64 + 1;
            ensure!(stored.seq == seq && stored.header.seq == seq, "event {seq} of {who} is out of place");
            ensure!(stored.header.prev == prev, "event {seq} of {who} does not follow its predecessor");
            ensure!(stored.hash == stored.text_hash, "event {seq} of {who} is not what was hashed");
            prev = stored.hash;
        }
        for (seq, hash) in &device.receipts {
            let held = match seq {
                0 => Some(Hash::ZERO),
                seq => chain.get(usize::try_from(seq - 1)?).map(|stored| stored.hash),
            };
            ensure!(held == Some(*hash), "{who} was shown a receipt for event {seq} that does not hold");
        }
        match &view.receipt {
            Some(receipt) => {
                ensure!(receipt.seq == device.captured, "the last receipt of {who} is not the end")
            }
            None => ensure!(device.captured == 0, "{who} has no receipt"),
        }
    }
    Ok(())
}

/// Exactly the intruder's events are quarantined, and how many these are.
///
/// # Errors
/// When others are, or not all of them.
pub fn quarantines(world: &World) -> Result<u64> {
    let database = world.server.database()?;
    let mut statement = database
        .prepare("SELECT device, count(*), group_concat(outcome) FROM events WHERE quarantined GROUP BY 1")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, Uuid>(0)?, (row.get::<_, i64>(1)?.unsigned_abs(), row.get::<_, String>(2)?)))
    })?;
    let found = rows.collect::<Result<BTreeMap<_, _>, _>>()?;
    for (device, (count, outcomes)) in &found {
        ensure!(
            *device == world.intruder.device().0,
            "{count} honest events of device {device} are quarantined: {outcomes}"
        );
    }
    let quarantined = found.get(&world.intruder.device().0).map_or(0, |(count, _)| *count);
    ensure!(
        quarantined == world.intruder.pushed(),
        "{} bad events were pushed and {quarantined} quarantined",
        world.intruder.pushed()
    );
    Ok(quarantined)
}

async fn views(world: &mut World) -> Result<()> {
    let mut seen = BTreeMap::new();
    for device in &world.devices {
        let sees = device.sees().await?;
        if let Some(before) = seen.get(device.username) {
            same(before, &sees, &format!("the two devices of {}", device.username))?;
        }
        seen.insert(device.username, sees);
    }
    let mut everything = None;
    for (username, sees) in &seen {
        let fresh = Device::enrol(&world.server, &world.time, username, 0).await?;
        let server = fresh.sees().await?;
        fresh.network.close();
        same(sees, &server, &format!("{username} and the server"))?;
        if *username == "marta" {
            everything = Some(server);
        }
    }
    let everything = everything.context("the manager has a device")?;
    let mut clients = 0;
    for (username, sees) in seen.iter().filter(|(name, _)| **name != "marta") {
        for (client, view) in sees.as_object().context("clients by id")? {
            clients += 1;
            same(view, &everything[client], &format!("{username} and the manager, about {client}"))?;
        }
    }
    ensure!(everything.as_object().is_some_and(|all| all.len() == clients), "a client is in no portfolio");
    Ok(())
}

/// Names the first place where two views differ.
fn same(one: &serde_json::Value, other: &serde_json::Value, who: &str) -> Result<()> {
    fn differ(one: &serde_json::Value, other: &serde_json::Value, place: &str) -> Option<String> {
        use serde_json::Value::{Array, Object};
        match (one, other) {
            _ if one == other => None,
            (Object(a), Object(b)) if a.keys().eq(b.keys()) => {
                a.iter().find_map(|(key, value)| differ(value, &b[key], &format!("{place}.{key}")))
            }
            (Array(a), Array(b)) if a.len() == b.len() => {
                a.iter().zip(b).enumerate().find_map(|(i, (a, b))| differ(a, b, &format!("{place}[{i}]")))
            }
            _ => Some(format!("{place}: {one} and {other}")),
        }
    }
    match differ(one, other, "") {
        None => Ok(()),
        Some(place) => bail!("{who} see different things at {place}"),
    }
}
