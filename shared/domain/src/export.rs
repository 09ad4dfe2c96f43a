//! What a device brings out of its store when it cannot send it: the events that the server has not
//! acknowledged and the files that it does not have, as text, before it is encrypted.
//!
//! The first line is a [`Header`]; each line after it is one event, exactly as the device hashed it, and
//! then, one line each, come the files.

use crate::event::{Hash, Header as EventHeader, chain_hash};
use crate::{BranchId, ClientId, DeviceId, Millis, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The newest format that this version writes and reads; an export without files is of format 1, which
/// older programs read too.
pub const FORMAT: u32 = 2;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Up to [`FORMAT`].
    pub format: u32,
    /// Whose chain the events stand in.
    pub device: DeviceId,
    /// Who worked on it.
    pub user: UserId,
    /// For which branch.
    pub branch: BranchId,
    /// When it was written, by the device's clock.
    pub at: Millis,
    /// How many events follow.
    pub events: u64,
    /// How many files follow those.
    #[serde(default, skip_serializing_if = "none")]
    pub files: u64,
}

fn none(files: &u64) -> bool {
    *files == 0
}

impl Header {
    /// The oldest format that can hold so many files.
    pub fn format_of(files: u64) -> u32 {
        if files == 0 { 1 } else { FORMAT }
    }
}

/// A file that the server does not have.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedFile {
    /// Whose.
    pub client: ClientId,
    /// Of its bytes.
    pub sha256: Hash,
    /// Its bytes, in base64.
    pub data: String,
}

impl std::fmt::Debug for ExportedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportedFile").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// What an export holds.
#[derive(Debug)]
pub struct Export {
    /// Whose it is.
    pub header: Header,
    /// In the order of the chain.
    pub events: Vec<Box<RawValue>>,
    /// In any order.
    pub files: Vec<ExportedFile>,
}

/// Why an export cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Not the text of an export, or cut off.
    #[error("the export cannot be read: {0}; write it again on the device")]
    Malformed(String),
    /// Of another format.
    #[error("the export has format {found} and this program reads {FORMAT}; use the newer program")]
    Format {
        /// The one found.
        found: u32,
    },
    /// Its events do not follow from each other.
    #[error("event {seq} of the export does not follow from the one before it; write it again on the device")]
    Broken {
        /// The event's place in the chain.
        seq: u64,
    },
}

/// The text of an export.
///
/// # Errors
/// When the header cannot be written as JSON, which does not happen.
pub fn write(export: &Export) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(&export.header)?;
    text.push('\n');
    for event in &export.events {
        text.push_str(event.get());
        text.push('\n');
    }
    for file in &export.files {
        text.push_str(&serde_json::to_string(file)?);
        text.push('\n');
    }
    Ok(text)
}

/// Reads an export and checks that its events follow from each other in the chain it names.
///
/// # Errors
/// See [`ExportError`].
pub fn read(text: &str) -> Result<Export, ExportError> {
    // Parsers' messages may quote values: only the line and the kind of error are said.
    let malformed = |line: usize, error: &serde_json::Error| {
        ExportError::Malformed(format!("line {line}: {:?}", error.classify()))
    };
    let mut lines = text.lines();
    let first = lines.next().ok_or_else(|| ExportError::Malformed("it is empty".into()))?;
    let header: Header = serde_json::from_str(first).map_err(|e| malformed(1, &e))?;
    if !(1..=FORMAT).contains(&header.format) {
        return Err(ExportError::Format { found: header.format });
    }
    let mut events = Vec::new();
    let mut last: Option<(u64, Hash)> = None;
    let mut lines = lines.enumerate();
    for (index, line) in lines.by_ref().take(usize::try_from(header.events).unwrap_or(usize::MAX)) {
        let event: EventHeader = serde_json::from_str(line).map_err(|e| malformed(index + 2, &e))?;
        let follows =
            last.is_none_or(|(seq, hash)| seq.checked_add(1) == Some(event.seq) && hash == event.prev);
        if !follows || event.device != header.device {
            return Err(ExportError::Broken { seq: event.seq });
        }
        last = Some((event.seq, chain_hash(line)));
        events.push(RawValue::from_string(line.to_owned()).map_err(|e| malformed(index + 2, &e))?);
    }
    if u64::try_from(events.len()).ok() != Some(header.events) {
        return Err(ExportError::Malformed(format!(
            "{} of {} events are in it",
            events.len(),
            header.events
        )));
    }
    let files = lines
        .map(|(index, line)| serde_json::from_str(line).map_err(|e| malformed(index + 2, &e)))
        .collect::<Result<Vec<ExportedFile>, _>>()?;
    if u64::try_from(files.len()).ok() != Some(header.files) {
        return Err(ExportError::Malformed(format!("{} of {} files are in it", files.len(), header.files)));
    }
    Ok(Export { header, events, files })
}
