//! A server's data folder, filled through the same doors as in real use.

use crate::chain::Chain;
use crate::people::{Applicants, PASSWORD};
use crate::{Failure, bundle};
use std::path::Path;
use uuid::Uuid;
use vereda_domain::api::{AddUser, DeviceInfo, EventOutcome, MAX_PUSH_EVENTS, Push, Role};
use vereda_domain::event::Hash;
use vereda_domain::{ClientId, DeviceId, UserId};
use vereda_server::clock::now_ms;
use vereda_server::identity::people::People;
use vereda_server::identity::tokens::Tokens;
use vereda_server::store::NewSession;
use vereda_server::sync::Pusher;
use vereda_server::{Config, server};

/// Day, in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// The refresh token of the n-th device of the crowd, and its id.
pub fn crowd(n: u32) -> (String, DeviceId) {
    let hash = Hash::of(format!("crowd {n}").as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.0[..16]);
    (hash.to_string(), DeviceId(uuid::Builder::from_random_bytes(id).into_uuid()))
}

/// One branch, the officers ana (with so many clients, each with one assessment), luis and the crowd's.
pub async fn fill(folder: &Path, clients: u32, crowd_size: u32) -> Result<(), Failure> {
    let config = Config { data_dir: folder.to_owned(), ..Config::default() };
    let app = server::open(config).await?;
    let people = People::new(app.store.clone(), app.passwords.clone());
    app.models.publish(bundle()?, "bench").await.map_err(|error| format!("{error:?}"))?;
    let branch = people.add_branch("Norte").await?.id;
    let mut users = Vec::new();
    for username in ["ana", "luis", "crowd"] {
        let user = AddUser {
            username: username.into(),
            name: username.to_uppercase(),
            password: PASSWORD.into(),
            role: Role::Officer,
            branch: Some(branch),
        };
        users.push(people.add_user(user).await?.id);
    }
    let open = async |user: UserId, id: DeviceId, token: &str| {
        let session = NewSession {
            family: Uuid::now_v7(),
            user,
            device: Some(DeviceInfo { id, name: "bench".into(), platform: "linux".into() }),
            follows: None,
            key: None,
            token: Tokens::refresh_hash(token),
            now: now_ms(),
            expires: now_ms() + 30 * DAY,
        };
        app.store.open_session(session).await
    };
    for n in 0..crowd_size {
        let (token, id) = crowd(n);
        open(users[2], id, &token).await?;
    }
    let device = DeviceId(Uuid::now_v7());
    open(users[0], device, "nobody has it").await?;
    let pusher = Pusher { user: users[0], role: Role::Officer, branch, device };
    let mut chain = Chain::new(device, users[0], branch);
    let mut applicants = Applicants::new(1)?;
    let begun = now_ms() - 400 * DAY;
    let mut events = Vec::with_capacity(MAX_PUSH_EVENTS);
    for n in 0..clients {
        let at = begun + i64::from(n) * 300_000 % (399 * DAY);
        let client = ClientId(applicants.id(begun + i64::from(n) * 100));
        events.push(chain.next(at, applicants.captured(client, at))?);
        events.push(chain.next(at, applicants.assessed(client)?)?);
        if events.len() == MAX_PUSH_EVENTS || n + 1 == clients {
            let push = Push { events: std::mem::take(&mut events), device_ms: now_ms() };
            let pushed = app.sync.push(pusher, push).await.map_err(|error| format!("{error:?}"))?;
            if let Some(held) = pushed.results.iter().find(|r| r.outcome != EventOutcome::Stored) {
                return Err(format!("a sample event was not stored: {held:?}").into());
            }
        }
    }
    // What came in over a year was counted over that year.
    while app.insight.catch_up().await? > 0 {}
    Ok(())
}
