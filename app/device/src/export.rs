//! Bringing out what was not sent, for branch staff to import at the server: an encrypted text file
//! (age) that only the institution's key, or a passphrase, opens.

use crate::error::{DeviceError, Result};
use crate::store::meta::Identity;
use age::secrecy::SecretString;
use serde_json::value::RawValue;
use vereda_domain::Millis;
use vereda_domain::export::{Export, ExportedFile, Header, write};
use vereda_domain::gateway::{ExportFile, SealedFor};

/// scrypt's cost for passphrases: 64 MiB, as much as a PIN costs, which every phone has.
const WORK_FACTOR: u8 = 16;
/// The shortest passphrase, in characters.
const SHORTEST: usize = 12;

/// The export of these events and files.
pub(crate) fn export(
    identity: &Identity,
    events: Vec<Box<RawValue>>,
    files: Vec<ExportedFile>,
    sealed_for: &SealedFor,
    at: Millis,
) -> Result<ExportFile> {
    let header = Header {
        format: Header::format_of(files.len() as u64),
        device: identity.device,
        user: identity.me(),
        branch: identity.branch_id(),
        at,
        events: events.len() as u64,
        files: files.len() as u64,
    };
    let (count, pictures) = (header.events, header.files);
    let text = write(&Export { header, events, files })?;
    let sealed = match sealed_for {
        SealedFor::Key { key } => {
            let recipient: age::x25519::Recipient = key
                .trim()
                .parse()
                .map_err(|_| DeviceError::BadRequest("the key must be one that begins with age1"))?;
            age::encrypt_and_armor(&recipient, text.as_bytes())
        }
        SealedFor::Passphrase { passphrase } => {
            if passphrase.chars().count() < SHORTEST {
                return Err(DeviceError::BadRequest("the passphrase needs 12 characters or more"));
            }
            let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase.clone()));
            recipient.set_work_factor(WORK_FACTOR);
            age::encrypt_and_armor(&recipient, text.as_bytes())
        }
    };
    let text =
        sealed.map_err(|error| DeviceError::Internal(format!("the export cannot be sealed: {error}")))?;
    Ok(ExportFile { name: format!("vereda-{}-{}.age", identity.device, at), events: count, files: pictures, text })
}
