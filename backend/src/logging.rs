//! The log: JSON lines on standard error, so that a line break in a value is never a line break in
//! the log. Request bodies, names and documents are never logged.

use crate::config::{Log, LogFormat};
use crate::error::ServerError;
use tracing_subscriber::EnvFilter;

/// Starts logging for this process.
///
/// # Errors
/// [`ServerError::Config`] when the filter cannot be read or something else logs already.
pub fn init(log: &Log) -> Result<(), ServerError> {
    let wrong = |what: String| ServerError::Config { what };
    let filter = EnvFilter::try_new(&log.filter).map_err(|e| wrong(format!("`log.filter`: {e}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
        LogFormat::Text => builder.try_init(),
    }
    .map_err(|e| wrong(format!("logging cannot start: {e}")))
}
