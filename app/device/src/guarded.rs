//! Storage of the platform that gives a secret back only when a finger or a face is recognised.
//!
//! What counts is the secret, never the platform's word: a "yes" that somebody forges, in a patched
//! app or under a debugger, opens nothing, since what wraps the store's key is made of the secret
//! (see [`crate::vault`]). So nothing here returns a yes or a no.

use crate::app::App;
use crate::error::{DeviceError, Result};
use crate::session::blocking;
use crate::vault::{self, Vault};
use std::sync::Arc;
use tokio::sync::MutexGuard;
use vereda_domain::gateway::{Prompt, Status, UnlockGuardedRequest};
use zeroize::Zeroizing;

/// How many bytes a guarded secret has.
pub(crate) const LENGTH: usize = 32;

/// Where the platform keeps secrets behind a finger or a face. Its calls block, and [`Self::get`]
/// waits for a person.
pub trait GuardedStore: Send + Sync + std::fmt::Debug {
    /// Whether the device can recognise anybody at the moment: it has a sensor, and somebody is
    /// enrolled at it. Shows nothing.
    fn available(&self) -> bool;

    /// Keeps a vault's secret, in place of an earlier one of that vault.
    ///
    /// # Errors
    /// [`GuardedError::Unavailable`] with the platform's reason.
    fn put(&self, vault: &str, secret: &[u8]) -> Result<(), GuardedError>;

    /// Asks for a finger or a face, with these words, and gives the vault's secret back.
    ///
    /// # Errors
    /// [`GuardedError`] says which way it was not given.
    fn get(&self, vault: &str, prompt: &Prompt) -> Result<Zeroizing<Vec<u8>>, GuardedError>;

    /// Forgets a vault's secret. None being there is no failure.
    ///
    /// # Errors
    /// [`GuardedError::Unavailable`] with the platform's reason.
    fn forget(&self, vault: &str) -> Result<(), GuardedError>;
}

/// Why a secret was not given. None of these is an attempt at the PIN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardedError {
    /// Not there, switched off, nobody enrolled, or failed: the platform's reason, for support.
    #[error("this device's guarded storage gives nothing: {0}")]
    Unavailable(String),
    /// Somebody closed the platform's dialog, or the system did.
    #[error("the dialog for a finger or a face was closed")]
    Cancelled,
    /// Too many fingers or faces were refused; the platform waits for the device's own code.
    #[error("the device refuses fingers and faces for now, after too many that it did not know")]
    LockedOut,
    /// Gone for good, because who the device recognises has changed.
    #[error("the guarded secret is void: who this device recognises has changed")]
    Invalidated,
}

impl From<GuardedError> for DeviceError {
    fn from(error: GuardedError) -> Self {
        match error {
            GuardedError::Unavailable(why) => DeviceError::GuardedUnavailable(why),
            GuardedError::Cancelled => DeviceError::GuardedCancelled,
            GuardedError::LockedOut => DeviceError::GuardedLockedOut,
            GuardedError::Invalidated => DeviceError::GuardedInvalidated,
        }
    }
}

impl App {
    /// Opens a user's store with what their finger or face releases.
    pub(crate) async fn unlock_with_guarded(&self, request: UnlockGuardedRequest) -> Result<Status> {
        let store = self.guarded_store()?;
        let _asking = self.asking()?;
        let (app, user) = (self.clone(), request.user);
        // What refuses it anyway is said before anybody is asked for anything.
        let find = move || app.0.folders.vault(user)?.ok_or(DeviceError::NotFound("user"));
        let (app, found) = (self.clone(), find.clone());
        let name = blocking(move || {
            let vault = found()?;
            vault.may_open_guarded(app.0.config.clock.moment())?;
            Ok(vault.name())
        })
        .await?;
        let released = blocking({
            let (store, name) = (store.clone(), name.clone());
            move || Ok(store.get(&name, &shown(request.prompt)))
        })
        .await?;

        let _gate = self.0.gate.lock().await;
        let app = self.clone();
        blocking(move || {
            let mut vault = find()?;
            let secret = match released {
                Ok(secret) => secret,
                Err(GuardedError::Invalidated) => {
                    turn_off(&mut vault, Some(&store))?;
                    app.0.board.bump();
                    return Err(GuardedError::Invalidated.into());
                }
                Err(error) => return Err(error.into()),
            };
            // Asked again: wrong PINs may have come while the dialog stood there.
            let key = vault.open_guarded(&app.0.config.keystore, &secret, app.0.config.clock.moment())?;
            app.0.close();
            app.start(vault, &key, None)
        })
        .await?;
        self.status_now().await
    }

    /// Lets a finger or a face open the store that is open now. It is off until one has given the new
    /// secret back: a storage that would not give it is found out now, and not in the field.
    pub(crate) async fn turn_guarded_on(&self, pin: String, prompt: Prompt) -> Result<()> {
        let store = self.guarded_store()?;
        let _asking = self.asking()?;
        let pin = Zeroizing::new(pin);
        let gate = self.0.gate.lock().await;
        let session = self.session()?;
        let app = self.clone();
        let (name, secret, wrap) = session
            .blocking(move |session| {
                let config = &app.0.config;
                session.with_vault(|vault| {
                    let key = vault.open(&config.keystore, &pin, config.clock.moment())?;
                    // The earlier secret is about to be replaced, so nothing must wait for it.
                    vault.set_guarded(None)?;
                    let secret = vault::guarded_secret()?;
                    let wrap = vault.wrap_guarded(&config.keystore, &key, secret.as_slice())?;
                    Ok((vault.name(), secret, wrap))
                })
            })
            .await?;
        drop(gate);

        let kept = blocking({
            let (store, name) = (store.clone(), name.clone());
            move || {
                store.put(&name, secret.as_slice())?;
                if store.get(&name, &shown(prompt))?.as_slice() == secret.as_slice() {
                    Ok(())
                } else {
                    Err(GuardedError::Unavailable("it does not give back what was kept".into()).into())
                }
            }
        })
        .await;

        let _gate = self.0.gate.lock().await;
        let done = match kept {
            // Locked meanwhile, or another one's turn: whoever asked for it is not there any more.
            Ok(()) if !self.current().is_some_and(|now| Arc::ptr_eq(&now, &session)) => {
                Err(DeviceError::Locked)
            }
            Ok(()) => {
                session.blocking(|session| session.with_vault(|vault| vault.set_guarded(Some(wrap)))).await
            }
            Err(error) => Err(error),
        };
        if done.is_err() {
            blocking(move || {
                forget(&name, &store);
                Ok(())
            })
            .await?;
        }
        self.0.board.bump();
        done
    }

    /// Only the PIN opens the store that is open now.
    pub(crate) async fn turn_guarded_off(&self) -> Result<()> {
        let _gate = self.0.gate.lock().await;
        let app = self.clone();
        self.session()?
            .blocking(move |session| {
                session.with_vault(|vault| turn_off(vault, app.0.guarded.as_ref()))?;
                session.board.bump();
                Ok(())
            })
            .await
    }

    fn guarded_store(&self) -> Result<Arc<dyn GuardedStore>> {
        self.0.guarded.clone().ok_or_else(|| {
            DeviceError::GuardedUnavailable("this platform keeps nothing behind a finger or a face".into())
        })
    }

    fn asking(&self) -> Result<MutexGuard<'_, ()>> {
        let asked = || DeviceError::GuardedUnavailable("somebody is being asked already".into());
        self.0.asking.try_lock().map_err(|_| asked())
    }
}

/// The wrap first: without it the secret opens nothing, should it stay.
fn turn_off(vault: &mut Vault, store: Option<&Arc<dyn GuardedStore>>) -> Result<()> {
    vault.set_guarded(None)?;
    if let Some(store) = store {
        forget(&vault.name(), store);
    }
    Ok(())
}

fn forget(name: &str, store: &Arc<dyn GuardedStore>) {
    if let Err(error) = store.forget(name) {
        tracing::warn!(%error, "a guarded secret that opens nothing any more stays in its storage");
    }
}

/// Words for a system's dialog: some text, not too long, without control characters.
fn shown(prompt: Prompt) -> Prompt {
    let shown = |text: String| text.chars().filter(|c| !c.is_control()).take(200).collect();
    Prompt { title: shown(prompt.title), reason: shown(prompt.reason), cancel: shown(prompt.cancel) }
}
