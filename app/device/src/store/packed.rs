//! Records as they are kept: zstd (RFC 8878) with a dictionary of what records look like.
//!
//! An assessment is two kilobytes of JSON, most of it names of fields, identifiers and reasons, and in pages of
//! four kilobytes one of them leaves no room for another. Packed, four of them fit. Everything that is kept is
//! encrypted, authenticated, written to the log and then to its place: of a portfolio, two fifths are left. The dictionary
//! spares each record the tables that its compression would begin with, which are as long as what they save.

use crate::error::{DeviceError, Result};
use std::sync::{LazyLock, Mutex, PoisonError};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

/// Trained on invented records (`write_samples` among the tests says how). What is packed names it by the number that it
/// begins with, so it stays as it is for ever; a better one comes beside it.
static DICTIONARY: &[u8] = include_bytes!("records.zdict");
/// Of zstd. Higher ones take longer for a few bytes.
const LEVEL: i32 = 1;
/// The most that a record can be: longer than any that events can make.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// One of each for all threads: they take some hundred kilobytes, and microseconds for a record.
static PACKER: LazyLock<std::io::Result<Mutex<Compressor<'static>>>> =
    LazyLock::new(|| Compressor::with_dictionary(LEVEL, DICTIONARY).map(Mutex::new));
static UNPACKER: LazyLock<std::io::Result<Mutex<Decompressor<'static>>>> =
    LazyLock::new(|| Decompressor::with_dictionary(DICTIONARY).map(Mutex::new));

/// Packs a record's text.
///
/// # Errors
/// When it is longer than what [`unpack`] takes, or there is no memory for it.
pub(crate) fn pack(text: &str) -> Result<Vec<u8>> {
    if text.len() as u64 > MOST_BYTES {
        let what = format!("a record of {} bytes cannot be kept: {MOST_BYTES} are the most", text.len());
        return Err(DeviceError::Internal(what));
    }
    let failed =
        |error: &std::io::Error| DeviceError::Internal(format!("a record cannot be packed: {error}"));
    let packer = PACKER.as_ref().map_err(failed)?;
    let mut packer = packer.lock().unwrap_or_else(PoisonError::into_inner);
    packer.compress(text.as_bytes()).map_err(|error| failed(&error))
}

/// What was packed.
///
/// # Errors
/// [`DeviceError::StoreDamaged`] when it is not what [`pack`] makes.
pub(crate) fn unpack(packed: &[u8]) -> Result<String> {
    let damaged = |what: String| DeviceError::StoreDamaged(format!("a record cannot be unpacked: {what}"));
    let length = get_frame_content_size(packed)
        .ok()
        .flatten()
        .filter(|length| *length <= MOST_BYTES)
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| damaged("it does not say its length".into()))?;
    let unpacker = UNPACKER.as_ref().map_err(|error| damaged(error.to_string()))?;
    let mut unpacker = unpacker.lock().unwrap_or_else(PoisonError::into_inner);
    let text = unpacker.decompress(packed, length).map_err(|error| damaged(error.to_string()))?;
    String::from_utf8(text).map_err(|error| damaged(error.to_string()))
}
