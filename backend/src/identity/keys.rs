//! Secrets that live in the data folder: signing keys and the refresh secret. Made at first start,
//! readable by nobody else.

use crate::clock::now_ms;
use crate::error::ServerError;
use std::io::Write;
use std::path::{Path, PathBuf};
use vereda_domain::Millis;

/// What precedes the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410, section 7).
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Random bytes from the system.
///
/// # Errors
/// [`ServerError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], ServerError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| ServerError::Random(e.to_string()))?;
    Ok(bytes)
}

/// A key that signs access tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// From when on it signs; before, it is only made known.
    pub from: Millis,
    /// Ed25519, as PKCS #8.
    pub pkcs8: [u8; 48],
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("from", &self.from).finish_non_exhaustive()
    }
}

/// For how long a key still verifies after another one took its place: longer than any token lives.
const KEEP_MS: Millis = 3_600_000;

/// The signing keys, oldest first: all of them verify, and the last one whose time has come signs. The first
/// one is made here.
///
/// # Errors
/// [`ServerError::File`], [`ServerError::Key`], [`ServerError::Random`].
pub fn signing_keys(data_dir: &Path) -> Result<Vec<SigningKey>, ServerError> {
    let folder = data_dir.join("keys");
    make_folder(&folder)?;
    if key_files(&folder)?.is_empty() {
        write_key(&folder, now_ms())?;
    }
    known_keys(data_dir)
}

/// The signing keys that are there, oldest first; perhaps none.
///
/// # Errors
/// [`ServerError::File`], [`ServerError::Key`].
pub fn known_keys(data_dir: &Path) -> Result<Vec<SigningKey>, ServerError> {
    let read =
        |(from, path): &(Millis, PathBuf)| read_secret(path).map(|pkcs8| SigningKey { from: *from, pkcs8 });
    key_files(&data_dir.join("keys"))?.iter().map(read).collect()
}

/// Makes the key that signs from this time on, and takes away those that nothing is verified with any more; how
/// many.
///
/// # Errors
/// [`ServerError::File`], [`ServerError::Random`].
pub fn rotate(data_dir: &Path, from: Millis) -> Result<usize, ServerError> {
    let folder = data_dir.join("keys");
    make_folder(&folder)?;
    let files = key_files(&folder)?;
    write_key(&folder, from)?;
    let mut taken = 0;
    for (old, next) in files.iter().zip(files.iter().skip(1)) {
        if next.0.saturating_add(KEEP_MS) < now_ms() {
            let path = old.1.clone();
            std::fs::remove_file(&path).map_err(|source| ServerError::File {
                doing: "take away the old key",
                path,
                source,
            })?;
            taken += 1;
        }
    }
    Ok(taken)
}

/// The files of signing keys with when each begins to sign, by name.
fn key_files(folder: &Path) -> Result<Vec<(Millis, PathBuf)>, ServerError> {
    let reading = |source| ServerError::File { doing: "list the keys in", path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(reading)? {
        let path = entry.map_err(reading)?.path();
        if path.extension().is_some_and(|e| e == "ed25519") {
            // One that somebody named otherwise signs at once, if it is the last.
            let named = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            files.push((named.unwrap_or(0), path));
        }
    }
    files.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(files)
}

fn write_key(folder: &Path, from: Millis) -> Result<(), ServerError> {
    let mut key = [0; 48];
    key[..16].copy_from_slice(&PKCS8_ED25519);
    key[16..].copy_from_slice(&random::<32>()?);
    // Zero-padded so that names sort by age.
    write_secret(&folder.join(format!("{from:016}.ed25519")), &key)
}

/// The secret that refresh tokens are derived with.
///
/// # Errors
/// As [`signing_keys`].
pub fn refresh_secret(data_dir: &Path) -> Result<[u8; 32], ServerError> {
    let folder = data_dir.join("keys");
    make_folder(&folder)?;
    let path = folder.join("refresh.secret");
    if !path.exists() {
        write_secret(&path, &random::<32>()?)?;
    }
    read_secret(&path)
}

/// Makes a folder that only this user may enter, for good.
///
/// # Errors
/// [`ServerError::File`].
pub fn make_folder(path: &Path) -> Result<(), ServerError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let missing = |one: &&Path| !one.as_os_str().is_empty() && !one.exists();
    let made: Vec<&Path> = path.ancestors().take_while(missing).collect();
    // A name is on the disk when the folder that it is in was synced, and not before.
    let parents = made.iter().filter_map(|made| made.parent());
    builder
        .create(path)
        .and_then(|()| parents.into_iter().try_for_each(sync_folder))
        .map_err(|source| ServerError::File { doing: "make the folder", path: path.to_owned(), source })
}

/// Makes the changes of names in a folder durable. Windows has no such call and needs none.
///
/// # Errors
/// When it cannot be read.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    std::fs::File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

fn read_secret<const N: usize>(path: &PathBuf) -> Result<[u8; N], ServerError> {
    let bytes = std::fs::read(path).map_err(|source| ServerError::File {
        doing: "read the key",
        path: path.clone(),
        source,
    })?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| ServerError::Key {
        path: path.clone(),
        what: format!("it has {length} bytes and must have {N}"),
    })
}

/// Writes a file that nobody else may read, whole or not at all.
///
/// # Errors
/// [`ServerError::File`].
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), ServerError> {
    // Written under another name first: a crash in between leaves no half key behind.
    let temporary = path.with_extension("new");
    let failed = |source| ServerError::File { doing: "write the key", path: path.to_owned(), source };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&temporary, path).map_err(failed)?;
    path.parent().map_or(Ok(()), sync_folder).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_are_for_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let first = signing_keys(dir.path()).unwrap();
        assert_eq!(first, signing_keys(dir.path()).unwrap());
        assert_eq!(refresh_secret(dir.path()).unwrap(), refresh_secret(dir.path()).unwrap());
        #[cfg(unix)]
        for entry in std::fs::read_dir(dir.path().join("keys")).unwrap() {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn keys_that_nothing_is_verified_with_any_more_are_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let now = now_ms();
        let times = |dir: &Path| signing_keys(dir).unwrap().iter().map(|key| key.from).collect::<Vec<_>>();
        let (oldest, old) = (now - 3 * KEEP_MS, now - 2 * KEEP_MS);
        for from in [oldest, old] {
            assert_eq!(rotate(dir.path(), from).unwrap(), 0);
        }
        // The oldest was followed long ago; the other one still signs.
        assert_eq!(rotate(dir.path(), now + 1000).unwrap(), 1);
        assert_eq!(times(dir.path()), [old, now + 1000]);
        assert_eq!(rotate(dir.path(), now + 2000).unwrap(), 0);
    }

    #[test]
    fn a_damaged_key_is_named_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        signing_keys(dir.path()).unwrap();
        let file = std::fs::read_dir(dir.path().join("keys")).unwrap().next().unwrap().unwrap().path();
        std::fs::write(&file, b"short").unwrap();
        let error = signing_keys(dir.path()).unwrap_err().to_string();
        assert!(error.contains("5 bytes"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), b"short");
    }
}
