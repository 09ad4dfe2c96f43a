//! The vault of one user: what turns a PIN and the platform's secret into the key of their store.
//!
//! The store's key is random. `vault.json` holds it wrapped (XChaCha20-Poly1305) under a key made by
//! HKDF-SHA256 from two things: argon2id of the PIN, and a secret that only the platform's key store
//! holds. So neither a copy of the files nor the device's key store without the PIN opens it, and
//! guessing PINs needs the key store for every guess.
//!
//! If its user turned that on, a finger or a face opens it too: the file holds the key a second time,
//! wrapped under HKDF of the platform's secret and of another one, which the platform's guarded
//! storage gives only to them (`guarded.rs`). That one has 256 random bits in place of argon2id of a
//! PIN; nobody guesses it, so there are no attempts to count.
//!
//! An attempt is counted on disk *before* it is made, so that killing the app in mid-check saves no
//! attempt, and a success takes the count back. Nothing here ever deletes anything.
//!
//! How long is left to wait is told by how long the machine has been running, never by its calendar:
//! a clock set ahead saves nothing, one set back costs nothing. After a restart of the machine the
//! wait begins again from the restart, since nothing proves how long the machine was off.

use crate::clock::Moment;
use crate::error::{DeviceError, Result};
use crate::guarded;
use crate::keystore::KeyStore;
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::io::Write;
use std::path::{Path, PathBuf};
use uuid::Uuid;
use vereda_domain::gateway::UserView;
use vereda_domain::{DeviceId, Millis};
use zeroize::Zeroizing;

const FORMAT: u32 = 1;
const FILE: &str = "vault.json";
/// argon2id: 64 MiB, two passes; above OWASP's minimum (19 MiB, two passes).
pub(crate) const KDF: Kdf = Kdf { m_kib: 64 * 1024, passes: 2, lanes: 1 };
/// For simulations of thousands of devices, whose PINs nobody guesses.
#[cfg(any(debug_assertions, feature = "simulation"))]
pub(crate) const QUICK: Kdf = Kdf { m_kib: 8, passes: 1, lanes: 1 };
/// The most that a file may ask for.
const MOST: Kdf = Kdf { m_kib: 512 * 1024, passes: 16, lanes: 8 };

/// A store's key: 256 bits, given to SQLCipher as they are.
pub(crate) type StoreKey = Zeroizing<[u8; 32]>;

/// Refuses PINs that a stranger tries first.
///
/// # Errors
/// [`DeviceError::WeakPin`] for fewer than six digits, anything but digits, a sequence, a repetition,
/// or only two different digits.
pub fn check_pin(pin: &str) -> Result<()> {
    let digits: Vec<u8> = pin.bytes().collect();
    let length = digits.len();
    if !(6..=64).contains(&length) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DeviceError::WeakPin);
    }
    let step = |by: u8| digits.windows(2).all(|pair| (pair[0] - b'0' + by) % 10 == pair[1] - b'0');
    let repeats = (1..=length / 2).any(|period| digits.iter().zip(&digits[period..]).all(|(a, b)| a == b));
    let mut different = digits.clone();
    different.sort_unstable();
    different.dedup();
    if step(1) || step(9) || repeats || different.len() <= 2 {
        return Err(DeviceError::WeakPin);
    }
    Ok(())
}

/// After how many milliseconds the next attempt is taken, after so many wrong ones.
fn delay_after(failed: u32) -> Millis {
    let seconds = match failed {
        0 | 1 => 0,
        2 => 2,
        3 => 5,
        4 => 15,
        5 => 30,
        6 => 60,
        7 => 300,
        8 => 900,
        _ => 3600,
    };
    seconds * 1000
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kdf {
    m_kib: u32,
    passes: u32,
    lanes: u32,
}

/// `vault.json`. Holds no secret in the clear; the user's name and place are shown before unlocking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    format: u32,
    id: Uuid,
    user: UserView,
    /// The device that it was made for, to which the wrapped key is bound.
    device: DeviceId,
    /// The device whose chain the store holds, if it went on under another identity since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    goes_on_as: Option<DeviceId>,
    kdf: Kdf,
    salt: String,
    /// Tells a lost platform secret from a wrong PIN; a hash of the secret alone.
    secret_check: String,
    nonce: String,
    wrapped: String,
    failed: u32,
    /// How long the machine had been running at the last attempt, in milliseconds.
    #[serde(default)]
    failed_uptime: Millis,
    /// The key once more, for a finger or a face; absent when that is off.
    ///
    /// The format's number stays: a program from before this reads the file, and loses the field when
    /// it next writes it. That turns it off and no more, and the PIN goes on; a higher number would
    /// keep such a program from a store that it can read, with what was not sent in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guarded: Option<Guarded>,
}

/// A store's key under a secret that guarded storage holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guarded {
    nonce: String,
    wrapped: String,
}

/// One user's vault on disk.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    folder: PathBuf,
    document: Document,
}

impl Vault {
    /// Makes a vault with a new key in this folder. The caller writes the store with the key and
    /// makes the folder known only after both are there.
    pub(crate) fn create(
        folder: &Path,
        keys: &KeyStore,
        user: UserView,
        device: DeviceId,
        pin: &str,
        kdf: Kdf,
    ) -> Result<(Vault, StoreKey)> {
        let key: StoreKey = Zeroizing::new(random()?);
        let secret = Zeroizing::new(random::<32>()?);
        let salt = random::<16>()?;
        let id = Uuid::now_v7();
        let kek = kek(&kdf, &salt, secret.as_slice(), &id, pin)?;
        let (nonce, wrapped) = wrap(&key, &kek, &aad(&id, &user, device))?;
        let document = Document {
            format: FORMAT,
            id,
            user,
            device,
            goes_on_as: None,
            kdf,
            salt: hex::encode(salt),
            secret_check: secret_check(secret.as_slice(), &id)?,
            nonce,
            wrapped,
            failed: 0,
            failed_uptime: 0,
            guarded: None,
        };
        keys.put(&id.to_string(), secret.as_slice())?;
        let vault = Vault { folder: folder.to_owned(), document };
        if let Err(error) = vault.write() {
            keys.forget(&id.to_string());
            return Err(error);
        }
        Ok((vault, key))
    }

    /// Reads a vault; `None` when there is none in this folder.
    pub(crate) fn read(folder: &Path) -> Result<Option<Vault>> {
        let text = match std::fs::read(folder.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DeviceError::StoreDamaged(format!("{FILE}: {error}"))),
        };
        let document: Document = serde_json::from_slice(&text).map_err(|error| {
            DeviceError::StoreDamaged(format!("{FILE}: {:?} in line {}", error.classify(), error.line()))
        })?;
        if document.format > FORMAT {
            return Err(DeviceError::StoreTooNew {
                found: i64::from(document.format),
                known: i64::from(FORMAT),
            });
        }
        Ok(Some(Vault { folder: folder.to_owned(), document }))
    }

    /// Whose it is.
    pub(crate) fn user(&self) -> &UserView {
        &self.document.user
    }

    /// Whose chain its store holds.
    pub(crate) fn device(&self) -> DeviceId {
        self.document.goes_on_as.unwrap_or(self.document.device)
    }

    /// What it is called in the platform's stores.
    pub(crate) fn name(&self) -> String {
        self.document.id.to_string()
    }

    /// Whether the key store has the secret that belongs to it. No attempt at the PIN.
    ///
    /// # Errors
    /// [`DeviceError::KeyMissing`], [`DeviceError::KeyStoreUnavailable`].
    pub(crate) fn has_secret(&self, keys: &KeyStore) -> Result<()> {
        self.secret(keys).map(|_| ())
    }

    /// The key store's secret that belongs to it.
    fn secret(&self, keys: &KeyStore) -> Result<Zeroizing<Vec<u8>>> {
        let secret = keys.get(&self.name())?;
        let check = secret_check(&secret, &self.document.id)?;
        if check == self.document.secret_check { Ok(secret) } else { Err(DeviceError::KeyMissing) }
    }

    /// Forgets the platform's secret of a vault that was never finished.
    pub(crate) fn forget(&self, keys: &KeyStore) {
        keys.forget(&self.name());
    }

    /// The vault after its folder was moved.
    pub(crate) fn at(mut self, folder: PathBuf) -> Vault {
        self.folder = folder;
        self
    }

    /// Before when no attempt is taken, if that is ahead, by the calendar as it is set now.
    pub(crate) fn retry_at(&self, at: Moment) -> Option<Millis> {
        let left = self.wait(at);
        (left > 0).then(|| at.now.saturating_add(left))
    }

    /// How many milliseconds to wait before the next attempt.
    fn wait(&self, at: Moment) -> Millis {
        let Document { failed, failed_uptime, .. } = self.document;
        // A machine that has been running for less time than it had then was started since.
        let begun = if at.uptime < failed_uptime { 0 } else { failed_uptime };
        (delay_after(failed) - (at.uptime - begun)).max(0)
    }

    /// Opens the vault. Takes about a tenth of a second by design.
    ///
    /// # Errors
    /// [`DeviceError::TooManyAttempts`] before [`Self::retry_at`], [`DeviceError::WrongPin`], or what
    /// the key store says.
    pub(crate) fn open(&mut self, keys: &KeyStore, pin: &str, at: Moment) -> Result<StoreKey> {
        // Another window or an earlier run may have counted attempts since this was read.
        self.refresh()?;
        if let Some(retry_at) = self.retry_at(at) {
            return Err(DeviceError::TooManyAttempts { retry_at: Some(retry_at) });
        }
        // The key store first: its failures are no attempts.
        let secret = self.secret(keys)?;
        let salt = decode::<16>(&self.document.salt)?;
        let nonce = decode::<24>(&self.document.nonce)?;
        let wrapped = decode::<48>(&self.document.wrapped)?;

        self.document.failed = self.document.failed.saturating_add(1);
        self.document.failed_uptime = at.uptime;
        self.write()?;
        let retry_at = self.retry_at(at);

        let document = &self.document;
        let kek = kek(&document.kdf, &salt, &secret, &document.id, pin)?;
        let aad = aad(&document.id, &document.user, document.device);
        let key = unwrap(&nonce, &wrapped, &kek, &aad)?.ok_or(DeviceError::WrongPin { retry_at })?;

        self.document.failed = 0;
        self.document.failed_uptime = 0;
        self.write()?;
        Ok(key)
    }

    /// Whether a finger or a face opens it.
    pub(crate) fn is_guarded(&self) -> bool {
        self.document.guarded.is_some()
    }

    /// Whether a finger or a face would be of use now; nobody is asked for one otherwise.
    ///
    /// # Errors
    /// [`DeviceError::GuardedUnavailable`] when it is off, and [`DeviceError::TooManyAttempts`] while
    /// the wait after wrong PINs runs. The wait is the store's, not the PIN's: somebody is trying to get
    /// in, and whoever holds the phone of a person asleep beside them must not have a second door to
    /// try meanwhile. Its user loses nothing by that: they would wait for the PIN just as long.
    pub(crate) fn may_open_guarded(&self, at: Moment) -> Result<()> {
        if let Some(retry_at) = self.retry_at(at) {
            return Err(DeviceError::TooManyAttempts { retry_at: Some(retry_at) });
        }
        if self.is_guarded() { Ok(()) } else { Err(off()) }
    }

    /// Wraps its key under a guarded secret. Writes nothing: see [`Self::set_guarded`].
    ///
    /// # Errors
    /// What the key store says.
    pub(crate) fn wrap_guarded(&self, keys: &KeyStore, key: &StoreKey, secret: &[u8]) -> Result<Guarded> {
        let Document { id, user, device, .. } = &self.document;
        let kek = guarded_kek(&self.secret(keys)?, secret, id)?;
        let (nonce, wrapped) = wrap(key, &kek, &guarded_aad(id, user, *device))?;
        Ok(Guarded { nonce, wrapped })
    }

    /// Turns it on with a wrap, or off.
    pub(crate) fn set_guarded(&mut self, guarded: Option<Guarded>) -> Result<()> {
        self.refresh()?;
        if self.document.guarded == guarded {
            return Ok(());
        }
        self.document.guarded = guarded;
        self.write()
    }

    /// Opens the vault with what guarded storage gave. No attempt at the PIN: it counts none, and
    /// those that were counted stay, since nobody has shown that they know the PIN.
    ///
    /// # Errors
    /// As [`Self::may_open_guarded`], [`DeviceError::GuardedWrong`] for anything but the secret, or
    /// what the key store says.
    pub(crate) fn open_guarded(&mut self, keys: &KeyStore, secret: &[u8], at: Moment) -> Result<StoreKey> {
        self.refresh()?;
        self.may_open_guarded(at)?;
        let Document { id, user, device, guarded, .. } = &self.document;
        let guarded = guarded.as_ref().ok_or_else(off)?;
        // A platform's "yes" without a secret ends here; so would any other length below.
        if secret.len() != guarded::LENGTH {
            return Err(DeviceError::GuardedWrong);
        }
        let nonce = decode::<24>(&guarded.nonce)?;
        let wrapped = decode::<48>(&guarded.wrapped)?;
        let kek = guarded_kek(&self.secret(keys)?, secret, id)?;
        unwrap(&nonce, &wrapped, &kek, &guarded_aad(id, user, *device))?.ok_or(DeviceError::GuardedWrong)
    }

    /// Reads again what another handle may have written since.
    fn refresh(&mut self) -> Result<()> {
        if let Some(fresh) = Vault::read(&self.folder)? {
            self.document = fresh.document;
        }
        Ok(())
    }

    /// Notes what the server says of the user now.
    pub(crate) fn set_user(&mut self, user: &UserView) -> Result<()> {
        self.refresh()?;
        if self.document.user == *user {
            return Ok(());
        }
        self.document.user = user.clone();
        self.write()
    }

    /// Notes whose chain the store holds now.
    pub(crate) fn set_device(&mut self, device: DeviceId) -> Result<()> {
        if self.device() == device {
            return Ok(());
        }
        self.refresh()?;
        self.document.goes_on_as = Some(device);
        self.write()
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.document)?;
        write_durably(&self.folder, FILE, &text)
    }
}

/// Replaces a file so that after a crash it holds the old text or the new one.
pub(crate) fn write_durably(folder: &Path, name: &str, text: &[u8]) -> Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut file = std::fs::File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&new, folder.join(name))?;
    sync_folder(folder)
}

/// Makes a folder, and those above it that are missing, for good.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    let missing = |one: &&Path| !one.as_os_str().is_empty() && !one.exists();
    let made: Vec<&Path> = folder.ancestors().take_while(missing).collect();
    std::fs::create_dir_all(folder)?;
    // A name is durable when the folder that it is in was synced, and not before.
    for parent in made.iter().filter_map(|made| made.parent()) {
        sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    }
    Ok(())
}

/// Makes renames in a folder durable. Windows has no such call and needs none.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// A new secret for guarded storage.
pub(crate) fn guarded_secret() -> Result<Zeroizing<[u8; guarded::LENGTH]>> {
    Ok(Zeroizing::new(random()?))
}

fn off() -> DeviceError {
    DeviceError::GuardedUnavailable("it is not turned on for this user".into())
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| DeviceError::Internal(format!("the system gives no random numbers: {error}")))?;
    Ok(bytes)
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|error| DeviceError::StoreDamaged(format!("{FILE}: {error}")))?;
    Ok(bytes)
}

/// A key under another: the nonce and the ciphertext, in hexadecimal.
fn wrap(key: &StoreKey, kek: &StoreKey, aad: &str) -> Result<(String, String)> {
    let nonce = random::<24>()?;
    let wrapped = XChaCha20Poly1305::new(kek.as_slice().into())
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: key.as_slice(), aad: aad.as_bytes() })
        .map_err(|_| DeviceError::Internal("the store's key could not be wrapped".into()))?;
    Ok((hex::encode(nonce), hex::encode(wrapped)))
}

/// The other way; nothing if it is not the key that it was wrapped under.
fn unwrap(nonce: &[u8; 24], wrapped: &[u8; 48], kek: &StoreKey, aad: &str) -> Result<Option<StoreKey>> {
    let opened = XChaCha20Poly1305::new(kek.as_slice().into())
        .decrypt(XNonce::from_slice(nonce), Payload { msg: wrapped, aad: aad.as_bytes() })
        .map(Zeroizing::new);
    let Ok(opened) = opened else { return Ok(None) };
    let mut key: StoreKey = Zeroizing::new([0; 32]);
    if opened.len() != key.len() {
        return Err(DeviceError::StoreDamaged("the wrapped key has another length".into()));
    }
    key.copy_from_slice(&opened);
    Ok(Some(key))
}

/// What the wrapped key belongs to: a vault cannot be passed off as another one's. Names may change.
fn aad(id: &Uuid, user: &UserView, device: DeviceId) -> String {
    format!("vereda-vault-1/{id}/{}/{device}", user.id)
}

/// The same for the guarded wrap. No PIN's wrap has this: where one has its id, this has a word.
fn guarded_aad(id: &Uuid, user: &UserView, device: DeviceId) -> String {
    format!("vereda-vault-1/guarded/{id}/{}/{device}", user.id)
}

/// As random as both of its parts: nothing of it can be guessed, so nothing is stretched.
fn guarded_kek(platform: &[u8], guarded: &[u8], id: &Uuid) -> Result<StoreKey> {
    expand(platform, guarded, &format!("vereda-vault-1/guarded-kek/{id}"))
}

fn kek(kdf: &Kdf, salt: &[u8], secret: &[u8], id: &Uuid, pin: &str) -> Result<Zeroizing<[u8; 32]>> {
    // A damaged file must not make the app ask for more memory than there is: that ends it.
    if kdf.m_kib > MOST.m_kib || kdf.passes > MOST.passes || kdf.lanes > MOST.lanes {
        return Err(DeviceError::StoreDamaged(format!("{FILE}: it asks for too much memory or time")));
    }
    let params = Params::new(kdf.m_kib, kdf.passes, kdf.lanes, Some(32))
        .map_err(|error| DeviceError::StoreDamaged(format!("{FILE}: {error}")))?;
    let mut stretched = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(pin.as_bytes(), salt, stretched.as_mut_slice())
        .map_err(|error| DeviceError::Internal(format!("argon2id: {error}")))?;
    expand(secret, stretched.as_slice(), &format!("vereda-vault-1/kek/{id}"))
}

fn secret_check(secret: &[u8], id: &Uuid) -> Result<String> {
    let check = expand(secret, &[], &format!("vereda-vault-1/check/{id}"))?;
    Ok(hex::encode(&check[..16]))
}

fn expand(salt: &[u8], key: &[u8], info: &str) -> Result<Zeroizing<[u8; 32]>> {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand(info.as_bytes(), out.as_mut_slice())
        .map_err(|_| DeviceError::Internal("HKDF: length".into()))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vereda_domain::UserId;
    use vereda_domain::api::Role;

    fn user() -> UserView {
        UserView {
            id: UserId(Uuid::from_u128(7)),
            username: "ana".into(),
            name: "Ana".into(),
            role: Role::Officer,
            branch: "Norte".into(),
            server: "https://vereda.example.org".into(),
        }
    }

    fn keys() -> KeyStore {
        KeyStore::given(keyring_core::mock::Store::new().unwrap())
    }

    /// A machine whose calendar is right.
    fn at(ms: Millis) -> Moment {
        Moment { now: ms, uptime: ms }
    }

    const DEVICE: DeviceId = DeviceId(Uuid::from_u128(9));

    #[test]
    fn easy_pins_are_refused() {
        for weak in [
            "12345", "123456", "987654", "111111", "121212", "123123", "112211", "890123", "abcdef",
            "12345a", "",
        ] {
            assert!(check_pin(weak).is_err(), "{weak}");
        }
        for good in ["274913", "80412765", "314159"] {
            assert!(check_pin(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn the_right_pin_gives_the_key_back_and_a_wrong_one_costs_time_that_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys();
        let (_, key) = Vault::create(folder.path(), &keys, user(), DEVICE, "274913", KDF).unwrap();
        let again = || Vault::read(folder.path()).unwrap().unwrap();
        assert_eq!(*again().open(&keys, "274913", at(0)).unwrap(), *key);

        let mut waits = Vec::new();
        let mut now = 1_000_000;
        for _ in 0..10 {
            let Err(DeviceError::WrongPin { retry_at }) = again().open(&keys, "274914", at(now)) else {
                panic!("a wrong PIN opened the vault or was refused for another reason");
            };
            waits.push(retry_at.map_or(0, |end| end - now));
            if let Some(end) = retry_at {
                // Too early, even with the right PIN, even after a restart.
                assert!(matches!(
                    again().open(&keys, "274913", Moment { now: end - 1, uptime: end - 1 }),
                    Err(DeviceError::TooManyAttempts { retry_at: Some(same) }) if same == end
                ));
                now = end;
            }
        }
        assert!(waits.is_sorted() && waits[0] == 0 && waits[9] == 3_600_000, "{waits:?}");
        assert_eq!(*again().open(&keys, "274913", at(now)).unwrap(), *key);
        assert_eq!(again().retry_at(at(now)), None);
    }

    #[test]
    fn an_attempt_is_on_disk_before_it_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys();
        Vault::create(folder.path(), &keys, user(), DEVICE, "274913", KDF).unwrap();
        let mut vault = Vault::read(folder.path()).unwrap().unwrap();
        // A check that cannot even begin its stretching stands for an app killed in mid-check.
        vault.document.kdf.m_kib = 1;
        vault.write().unwrap();
        assert!(vault.open(&keys, "274913", at(0)).is_err());
        assert_eq!(Vault::read(folder.path()).unwrap().unwrap().document.failed, 1);
    }

    #[test]
    fn a_vault_that_asks_for_all_memory_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys();
        Vault::create(folder.path(), &keys, user(), DEVICE, "274913", KDF).unwrap();
        let mut vault = Vault::read(folder.path()).unwrap().unwrap();
        vault.document.kdf.m_kib = u32::MAX;
        vault.write().unwrap();
        assert!(matches!(vault.open(&keys, "274913", at(0)), Err(DeviceError::StoreDamaged(_))));
    }

    #[test]
    fn setting_the_clock_ahead_or_back_and_restarting_saves_no_wait() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys();
        Vault::create(folder.path(), &keys, user(), DEVICE, "274913", KDF).unwrap();
        let again = || Vault::read(folder.path()).unwrap().unwrap();
        let (year, uptime) = (365 * 24 * 3_600_000, 50_000_000);
        let mut moment = Moment { now: year, uptime };
        // The ninth wrong one costs an hour.
        for _ in 0..9 {
            moment.uptime += again().wait(moment);
            assert!(matches!(again().open(&keys, "000000", moment), Err(DeviceError::WrongPin { .. })));
        }
        let refused = |moment: Moment, left: Millis| {
            let Err(DeviceError::TooManyAttempts { retry_at }) = again().open(&keys, "274913", moment) else {
                panic!("it was let in at {moment:?}");
            };
            assert_eq!(retry_at, Some(moment.now + left), "{moment:?}");
        };
        let end = moment.uptime + 3_600_000;
        for now in [0, year, 2 * year, 100 * year] {
            refused(Moment { now, uptime: end - 1 }, 1);
        }
        // After a restart the whole wait begins again, however late the calendar says it is.
        refused(Moment { now: 100 * year, uptime: 20_000 }, 3_580_000);
        assert!(again().open(&keys, "274913", Moment { now: 0, uptime: 3_600_000 }).is_ok());
    }

    #[test]
    fn a_lost_platform_secret_is_told_from_a_wrong_pin_and_is_no_attempt() {
        let folder = tempfile::tempdir().unwrap();
        Vault::create(folder.path(), &keys(), user(), DEVICE, "274913", KDF).unwrap();
        let mut vault = Vault::read(folder.path()).unwrap().unwrap();
        assert!(matches!(vault.open(&keys(), "274913", at(0)), Err(DeviceError::KeyMissing)));
        let other = keys();
        other.put(&vault.document.id.to_string(), &[1; 32]).unwrap();
        assert!(matches!(vault.open(&other, "274913", at(0)), Err(DeviceError::KeyMissing)));
        assert_eq!(Vault::read(folder.path()).unwrap().unwrap().document.failed, 0);
    }

    /// As versions wrote it that told the waits by the calendar.
    #[test]
    fn a_vault_from_before_the_machines_own_clock_counted_still_opens() {
        let (folder, keys) = (tempfile::tempdir().unwrap(), keys());
        let (_, key) = Vault::create(folder.path(), &keys, user(), DEVICE, "274913", KDF).unwrap();
        let path = folder.path().join(FILE);
        let mut old: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let fields = old.as_object_mut().unwrap();
        fields.remove("failed_uptime").unwrap();
        fields.insert("retry_at".into(), 1_795_000_000_000_i64.into());
        fields.insert("failed".into(), 9.into());
        std::fs::write(&path, old.to_string()).unwrap();
        let mut vault = Vault::read(folder.path()).unwrap().unwrap();
        assert!(vault.retry_at(at(1)).is_some(), "the attempts still count");
        let late = at(10 * 24 * 3_600_000);
        assert_eq!(*vault.open(&keys, "274913", late).unwrap(), *key);
    }

    /// A vault that a finger opens, its key and the secret for it.
    fn guarded(folder: &Path, keys: &KeyStore) -> (Vault, StoreKey, Zeroizing<[u8; 32]>) {
        let (mut vault, key) = Vault::create(folder, keys, user(), DEVICE, "274913", QUICK).unwrap();
        let secret = guarded_secret().unwrap();
        let wrap = vault.wrap_guarded(keys, &key, secret.as_slice()).unwrap();
        vault.set_guarded(Some(wrap)).unwrap();
        (vault, key, secret)
    }

    #[test]
    fn a_flipped_bit_anywhere_in_the_guarded_wrap_opens_nothing() {
        let (folder, keys) = (tempfile::tempdir().unwrap(), keys());
        let (mut vault, key, secret) = guarded(folder.path(), &keys);
        let whole = vault.document.guarded.clone().unwrap();
        let path = folder.path().join(FILE);
        let mut open = |changed: Guarded| {
            // Not durably, so many times.
            let document = Document { guarded: Some(changed), ..vault.document.clone() };
            std::fs::write(&path, serde_json::to_vec(&document).unwrap()).unwrap();
            vault.open_guarded(&keys, secret.as_slice(), at(0))
        };
        assert_eq!(*open(whole.clone()).unwrap(), *key);
        let flipped = |text: &str, bit: usize| {
            let mut bytes = hex::decode(text).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            hex::encode(bytes)
        };
        for bit in 0..24 * 8 {
            let nonce = flipped(&whole.nonce, bit);
            let opened = open(Guarded { nonce, ..whole.clone() });
            assert!(matches!(opened, Err(DeviceError::GuardedWrong)), "bit {bit} of the nonce");
        }
        for bit in 0..48 * 8 {
            let wrapped = flipped(&whole.wrapped, bit);
            let opened = open(Guarded { wrapped, ..whole.clone() });
            assert!(matches!(opened, Err(DeviceError::GuardedWrong)), "bit {bit} of the key");
        }
        for cut in [&whole.wrapped[2..], "", "zz"] {
            let opened = open(Guarded { wrapped: cut.to_owned(), ..whole.clone() });
            assert!(matches!(opened, Err(DeviceError::StoreDamaged(_))), "{cut:?}");
        }
        assert_eq!(*open(whole).unwrap(), *key);
    }

    #[test]
    fn no_wrap_is_taken_for_the_other_nor_for_another_vaults() {
        let (folder, other, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), keys());
        let (mut vault, key, secret) = guarded(folder.path(), &keys);
        let opens = |vault: &mut Vault| {
            vault.write().unwrap();
            vault.open_guarded(&keys, secret.as_slice(), at(0)).is_ok()
        };
        let whole = vault.document.clone();
        let Document { nonce, wrapped, .. } = whole.clone();
        vault.document.guarded = Some(Guarded { nonce, wrapped });
        assert!(!opens(&mut vault), "the PIN's wrap as the guarded one");
        vault.document = whole.clone();
        let Guarded { nonce, wrapped } = whole.guarded.clone().unwrap();
        (vault.document.nonce, vault.document.wrapped) = (nonce, wrapped);
        vault.write().unwrap();
        assert!(matches!(vault.open(&keys, "274913", at(0)), Err(DeviceError::WrongPin { .. })));

        // Under the very keys, each label alone keeps them apart.
        let (id, platform) = (whole.id, vault.secret(&keys).unwrap());
        let kek = guarded_kek(&platform, secret.as_slice(), &id).unwrap();
        let wrapped_for = |aad: String| {
            let (nonce, wrapped) = wrap(&key, &kek, &aad).unwrap();
            Some(Guarded { nonce, wrapped })
        };
        vault.document = whole.clone();
        vault.document.guarded = wrapped_for(guarded_aad(&id, &user(), DEVICE));
        assert!(opens(&mut vault));
        let stranger = UserView { id: UserId(Uuid::from_u128(8)), ..user() };
        for aad in [
            aad(&id, &user(), DEVICE),
            guarded_aad(&Uuid::now_v7(), &user(), DEVICE),
            guarded_aad(&id, &stranger, DEVICE),
            guarded_aad(&id, &user(), DeviceId(Uuid::from_u128(10))),
            String::new(),
        ] {
            vault.document.guarded = wrapped_for(aad.clone());
            assert!(!opens(&mut vault), "{aad}");
        }
        let (of_other, ..) = self::guarded(other.path(), &keys);
        vault.document.guarded = of_other.document.guarded;
        assert!(!opens(&mut vault), "another vault's");
    }

    #[test]
    fn a_guarded_secret_without_the_key_stores_opens_nothing_and_is_no_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let (mut vault, _, secret) = guarded(folder.path(), &keys());
        assert!(matches!(
            vault.open_guarded(&keys(), secret.as_slice(), at(0)),
            Err(DeviceError::KeyMissing)
        ));
        let other = keys();
        other.put(&vault.name(), &[1; 32]).unwrap();
        assert!(matches!(vault.open_guarded(&other, secret.as_slice(), at(0)), Err(DeviceError::KeyMissing)));
        // Not even if the check of the key store's secret were forged in the file.
        vault.document.secret_check = secret_check(&[1; 32], &vault.document.id).unwrap();
        vault.write().unwrap();
        let opened = vault.open_guarded(&other, secret.as_slice(), at(0));
        assert!(matches!(opened, Err(DeviceError::GuardedWrong)));
        assert_eq!(Vault::read(folder.path()).unwrap().unwrap().document.failed, 0);
    }

    #[test]
    fn what_opens_a_vault_outlives_a_new_name_a_new_server_and_a_new_identity() {
        let (folder, keys) = (tempfile::tempdir().unwrap(), keys());
        let (vault, key, secret) = guarded(folder.path(), &keys);
        // Another handle, as a session has one, from before it was turned on.
        let mut stale = vault;
        stale.document.guarded = None;
        let moved = UserView {
            name: "Ana María".into(),
            branch: "Sur".into(),
            role: Role::Manager,
            server: "https://vereda.example.net".into(),
            ..user()
        };
        stale.set_user(&moved).unwrap();
        stale.document.guarded = None;
        stale.set_device(DeviceId(Uuid::from_u128(11))).unwrap();
        let mut again = Vault::read(folder.path()).unwrap().unwrap();
        assert_eq!(*again.open(&keys, "274913", at(0)).unwrap(), *key);
        assert_eq!(*again.open_guarded(&keys, secret.as_slice(), at(0)).unwrap(), *key);
        assert_eq!((again.device(), again.user()), (DeviceId(Uuid::from_u128(11)), &moved));
    }

    /// As versions wrote it that knew of no finger, and as such a version leaves a newer one.
    #[test]
    fn a_vault_from_before_fingers_opens_and_loses_nothing_but_them() {
        let (folder, keys) = (tempfile::tempdir().unwrap(), keys());
        let (_, key, secret) = guarded(folder.path(), &keys);
        let path = folder.path().join(FILE);
        let mut old: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(old["format"], 1, "which such a version reads");
        assert!(old.as_object_mut().unwrap().remove("guarded").is_some());
        std::fs::write(&path, old.to_string()).unwrap();
        let mut vault = Vault::read(folder.path()).unwrap().unwrap();
        assert!(!vault.is_guarded());
        let opened = vault.open_guarded(&keys, secret.as_slice(), at(0));
        assert!(matches!(opened, Err(DeviceError::GuardedUnavailable(_))));
        assert_eq!(*vault.open(&keys, "274913", at(0)).unwrap(), *key);
        // Where it is off, the file is what such a version would write.
        let new: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(new, old);
    }

    #[test]
    fn a_damaged_vault_is_said_to_be_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), b"{\"format\":1,").unwrap();
        assert!(matches!(Vault::read(folder.path()), Err(DeviceError::StoreDamaged(_))));
        assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), b"{\"format\":1,");
    }
}
