//! An unlocked store with everything that works on it.

use crate::board::Board;
use crate::clock::WallClock;
use crate::error::{DeviceError, Result};
use crate::models::Models;
use crate::store::meta::{self, Identity};
use crate::store::{Store, chain, files, fork};
use crate::sync::PageSizes;
use crate::sync::http::{AccessToken, Server};
use crate::sync::proof::DeviceKey;
use crate::vault::Vault;
use rusqlite::{Connection, Transaction};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot};
use vereda_domain::api::{DeviceInfo, ProblemCode, Session as ServerSession};
use vereda_domain::gateway::{Settings, SyncState};
use vereda_domain::{DeviceId, Millis};

/// A token is renewed so long before it ends.
const RENEW_BEFORE: Duration = Duration::from_secs(30);
/// A token is renewed after this at the latest.
const LONGEST_TOKEN: Duration = Duration::from_secs(24 * 60 * 60);

/// One user at work.
pub(crate) struct Session {
    pub store: Store,
    pub models: Models,
    pub board: Arc<Board>,
    pub clock: WallClock,
    pub http: reqwest::Client,
    key: Arc<DeviceKey>,
    pub settings: RwLock<Settings>,
    /// Of the app.
    pub version: String,
    device_name: String,
    platform: String,
    identity: RwLock<Arc<Identity>>,
    vault: Mutex<Vault>,
    access: tokio::sync::Mutex<Option<Access>>,
    /// Something was captured: sync soon.
    pub wake: Notify,
    /// How large pages are.
    pub pages: PageSizes,
    /// Somebody waits for a sync that begins now.
    pub requests: mpsc::Sender<oneshot::Sender<()>>,
    activity: Mutex<(Instant, Millis)>,
    /// Keeps other processes of the app from this store; released with the process, however it ends.
    _lock: std::fs::File,
}

struct Access {
    token: AccessToken,
    until: Instant,
    /// To ask whether anything is new.
    ticket: Option<String>,
    /// Why it opens nothing but delivering, if so.
    escrow: Option<ProblemCode>,
}

impl From<&ServerSession> for Access {
    fn from(session: &ServerSession) -> Access {
        Access {
            token: session.into(),
            until: ends(session.expires_in_s),
            ticket: session.ticket.clone(),
            escrow: session.escrow,
        }
    }
}

/// What a session is made from.
pub(crate) struct Parts {
    pub store: Store,
    pub vault: Vault,
    pub lock: std::fs::File,
    pub settings: Settings,
    pub http: reqwest::Client,
    pub board: Arc<Board>,
    pub clock: WallClock,
    /// Of the app.
    pub version: String,
    pub device_name: String,
    pub platform: String,
    pub pages: PageSizes,
}

impl Session {
    pub(crate) fn new(parts: Parts, requests: mpsc::Sender<oneshot::Sender<()>>) -> Result<Session> {
        let identity = parts
            .store
            .read(|db| meta::get(db, &meta::IDENTITY))?
            .ok_or_else(|| DeviceError::StoreDamaged("it does not say whose it is".into()))?;
        // A cut between the store's new identity and the vault's.
        let mut parts = parts;
        parts.vault.set_device(identity.device)?;
        let key = Arc::new(DeviceKey::of(&parts.store, parts.clock.clone())?);
        let session = Session {
            key,
            store: parts.store,
            models: Models::default(),
            board: parts.board,
            http: parts.http,
            settings: RwLock::new(parts.settings),
            version: parts.version,
            device_name: parts.device_name,
            platform: parts.platform,
            identity: RwLock::new(Arc::new(identity)),
            vault: Mutex::new(parts.vault),
            access: tokio::sync::Mutex::new(None),
            wake: Notify::new(),
            pages: parts.pages,
            requests,
            activity: Mutex::new((Instant::now(), parts.clock.now())),
            clock: parts.clock,
            _lock: parts.lock,
        };
        let done_at = session.store.read(|db| meta::get(db, &meta::DONE_AT))?;
        session.board.update(|line| {
            line.state = SyncState::Connecting;
            line.done_at = done_at;
        });
        session.count()?;
        Ok(session)
    }

    pub(crate) fn identity(&self) -> Arc<Identity> {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.identity().device
    }

    pub(crate) fn device_info(&self) -> DeviceInfo {
        device_info(self.device(), &self.device_name, &self.platform)
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    pub(crate) fn server(&self) -> Result<Server> {
        Server::new(self.http.clone(), &self.identity().server, self.key.clone())
    }

    /// Works on the vault, with nobody else of this session at it.
    pub(crate) fn with_vault<T>(&self, work: impl FnOnce(&mut Vault) -> Result<T>) -> Result<T> {
        work(&mut self.vault.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Somebody touches the app.
    pub(crate) fn touch(&self) {
        *self.activity.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), self.now());
    }

    /// How long until the store locks itself. By the monotonic clock, which may stand still while a
    /// phone sleeps, and by the wall clock, which may jump: the shorter counts.
    pub(crate) fn until_lock(&self) -> Duration {
        let minutes = self.settings.read().unwrap_or_else(PoisonError::into_inner).auto_lock_minutes;
        let limit = Duration::from_secs(u64::from(minutes) * 60);
        let (instant, wall) = *self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        let by_wall = u64::try_from(self.now() - wall).map(Duration::from_millis).unwrap_or_default();
        limit.saturating_sub(instant.elapsed().max(by_wall))
    }

    /// Reads the store on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.blocking(move |session| session.store.read(work)).await
    }

    /// Writes the store on a thread that may block; durable when this returns.
    pub(crate) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.blocking(move |session| session.store.write(work)).await
    }

    /// Runs something that may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let session = self.clone();
        blocking(move || work(&session)).await
    }

    /// Brings the line's numbers up to date.
    pub(crate) fn count(&self) -> Result<()> {
        let ((waiting, quarantined), files) =
            self.store.read(|db| Ok((chain::counts(db)?, files::counts(db)?.0)))?;
        self.board.update(|line| {
            (line.waiting, line.quarantined, line.files) = (waiting, quarantined, files);
        });
        Ok(())
    }

    /// An event was captured: screens show it, sync sends it.
    pub(crate) fn captured(&self) -> Result<()> {
        self.count()?;
        self.board.bump();
        self.wake.notify_one();
        Ok(())
    }

    /// An access token: the one there is, or a new one if that has ended or is `stale`. The rotated
    /// refresh token is on disk before the new access token is used; if the answer was lost, the next
    /// attempt shows the server the last one again, which it accepts from the same device.
    pub(crate) async fn access(
        self: &Arc<Self>,
        server: &Server,
        stale: Option<&AccessToken>,
    ) -> Result<AccessToken> {
        let mut access = self.access.lock().await;
        if let Some(access) = access.as_ref()
            && access.until > Instant::now()
            && Some(&access.token) != stale
        {
            return Ok(access.token.clone());
        }
        *access = None;
        let refresh =
            self.read(|db| meta::get(db, &meta::REFRESH_TOKEN)).await?.ok_or(DeviceError::SessionExpired)?;
        let session = server.refresh(&refresh).await?;
        let new = Access::from(&session);
        crate::fail::point("session.renewed");
        self.keep(session).await?;
        Ok(access.insert(new).token.clone())
    }

    /// What there is to ask with whether anything is new, which the server may not take any more.
    pub(crate) async fn ticket_at_hand(&self) -> Option<String> {
        self.access.lock().await.as_ref().and_then(|access| access.ticket.clone())
    }

    /// Why the session only delivers what was captured, if so.
    pub(crate) async fn escrow(&self) -> Option<ProblemCode> {
        self.access.lock().await.as_ref().and_then(|access| access.escrow)
    }

    /// Goes on under a new identity, since the server holds another chain of this device: what waits
    /// is recorded again, and the old chain kept. The new id is on disk before the server hears of
    /// it, so that a cut anywhere ends in the same identity.
    pub(crate) async fn fork(self: &Arc<Self>, server: &Server) -> Result<()> {
        let next = self
            .write(|db| {
                if let Some(next) = meta::get(db, &meta::NEXT_DEVICE)? {
                    return Ok(next);
                }
                let next = DeviceId(uuid::Uuid::now_v7());
                meta::set(db, &meta::NEXT_DEVICE, &next)?;
                Ok(next)
            })
            .await?;
        let token = self.access(server, None).await?;
        let info = device_info(next, &self.device_name, &self.platform);
        let session = server.fork(&token, &info).await?;
        let mut access = self.access.lock().await;
        let forked = Access::from(&session);
        self.blocking(move |this| {
            let old = this.identity();
            if session.user.id != old.me() {
                return Err(DeviceError::Server("it answered with another user's session".into()));
            }
            let new = Identity::new(session.user.clone(), next, old.server.clone())?;
            this.store.write(|db| {
                fork::record_again(db, &old, &new)?;
                keep(db, &new, &session)
            })?;
            this.with_vault(|vault| vault.set_device(next))?;
            *this.identity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
            this.count()?;
            this.board.bump();
            Ok(())
        })
        .await?;
        *access = Some(forked);
        Ok(())
    }

    /// Takes over a session that a sign-in with the password gave.
    pub(crate) async fn signed_in(self: &Arc<Self>, session: ServerSession) -> Result<()> {
        let mut access = self.access.lock().await;
        let new = Access::from(&session);
        self.keep(session).await?;
        *access = Some(new);
        Ok(())
    }

    /// As [`Session::signed_in`], before the sync engine starts: were it to start first, it could
    /// exchange the stored refresh token while this one is on its way, and the older of the two would
    /// be kept. Called where blocking is allowed.
    pub(crate) fn begin_signed_in(&self, session: &ServerSession) -> Result<()> {
        self.take_over(session)?;
        *self.access.blocking_lock() = Some(Access::from(session));
        Ok(())
    }

    async fn keep(self: &Arc<Self>, session: ServerSession) -> Result<()> {
        self.blocking(move |this| this.take_over(&session)).await
    }

    /// Writes what the server gave, and brings what is known of the user up to date.
    fn take_over(&self, session: &ServerSession) -> Result<()> {
        let old = self.identity();
        if session.user.id != old.me() {
            return Err(DeviceError::Server("it answered with another user's session".into()));
        }
        let identity = Identity::new(session.user.clone(), old.device, old.server.clone())?;
        let changed = identity != *old;
        // Another branch or role sees other records: from the beginning.
        let moved = identity.branch_id() != old.branch_id() || identity.user.role != old.user.role;
        self.store.write(|db| {
            keep(db, &identity, session)?;
            if moved { meta::pull_anew(db) } else { Ok(()) }
        })?;
        if changed {
            self.with_vault(|vault| vault.set_user(&identity.view()))?;
            *self.identity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
            self.board.bump();
        }
        Ok(())
    }
}

/// Writes what a sign-in or a refresh gave.
pub(crate) fn keep(db: &Connection, identity: &Identity, session: &ServerSession) -> Result<()> {
    meta::set(db, &meta::IDENTITY, identity)?;
    meta::set(db, &meta::REFRESH_TOKEN, &session.refresh_token)?;
    meta::set_people(db, &session.colleagues)?;
    meta::set_people(
        db,
        &[vereda_domain::api::Colleague {
            id: identity.user.id,
            name: identity.user.name.clone(),
            role: identity.user.role,
        }],
    )
}

/// When to renew a token that is said to hold so long. Whatever a server says, not after a day: a
/// time beyond what the clock can hold would end the engine.
fn ends(expires_in_s: u64) -> Instant {
    Instant::now() + Duration::from_secs(expires_in_s).min(LONGEST_TOKEN).saturating_sub(RENEW_BEFORE)
}

/// What the server is told of this machine.
pub(crate) fn device_info(id: DeviceId, name: &str, platform: &str) -> DeviceInfo {
    DeviceInfo { id, name: name.to_owned(), platform: platform.to_owned() }
}

/// Runs something that may block on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| DeviceError::Internal(format!("a worker ended early: {error}")))?
}

/// Makes sure that no other process works on this folder. A session of this process that is just
/// ending is waited for.
pub(crate) fn lock_folder(folder: &Path) -> Result<std::fs::File> {
    let file =
        std::fs::File::options().create(true).truncate(false).write(true).open(folder.join("in-use"))?;
    let patience = Instant::now() + Duration::from_secs(3);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(std::fs::TryLockError::WouldBlock) => return Err(DeviceError::InUse),
            // Where files cannot be locked, SQLite's own locks still keep the store whole.
            Err(std::fs::TryLockError::Error(error)) => {
                tracing::warn!(%error, "the store's folder cannot be locked");
                return Ok(file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_life_that_a_server_gives_a_token_has_an_end() {
        let now = Instant::now();
        assert!(ends(u64::MAX) > now && ends(u64::MAX) < now + 2 * LONGEST_TOKEN);
        assert!(ends(600) < now + Duration::from_secs(600));
        assert!(ends(0) <= Instant::now());
    }
}
