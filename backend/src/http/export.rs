//! `GET /api/history/export`: all that a search finds, as CSV or Parquet.
//!
//! The history is read in pages by key, each a transaction of its own, so that an export of hours holds
//! nothing open; entries that come while it runs are in it if they stand behind the page that is
//! read. The columns are listed once, for both formats.

use super::Shared;
use super::body::field_error;
use super::caller::Caller;
use super::history::filter;
use super::problem::{ApiError, ApiResult};
use super::query::{Form, Param, Query};
use super::rows::streamed;
use crate::clock::{now_ms, parse_time};
use crate::store::{HistoryFilter, HistoryRow, Note, Store};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;
use tokio::sync::mpsc;
use vereda_domain::api::{Deed, Doer, HistoryEntry, Source};
use vereda_domain::record::Rescore;
use vereda_scoring::FieldProblem;

/// The media type of Parquet.
pub const PARQUET: &str = "application/vnd.apache.parquet";

/// Entries of one page.
const PAGE: u32 = 500;
/// Pages of one row group of Parquet.
const GROUP_PAGES: usize = 10;

/// A column: its name, and what it says of an entry.
type Column = (&'static str, Cell);

enum Cell {
    Text(fn(&HistoryEntry) -> Option<Cow<'_, str>>),
    Number(fn(&HistoryEntry) -> f64),
    Integer(fn(&HistoryEntry) -> i64),
    YesNo(fn(&HistoryEntry) -> bool),
    /// RFC 3339.
    Time(fn(&HistoryEntry) -> &str),
}

const COLUMNS: [Column; 18] = [
    ("id", Cell::Text(|e| Some(e.id.to_string().into()))),
    ("source", Cell::Text(|e| Some(if e.source == Source::Field { "field" } else { "api" }.into()))),
    ("client", Cell::Text(|e| e.client.map(|id| id.to_string().into()))),
    ("client_ref", Cell::Text(|e| e.client_ref.as_deref().map(Cow::from))),
    ("officer", Cell::Text(|e| Some(e.officer.to_string().into()))),
    ("branch", Cell::Text(|e| e.branch.map(|id| id.to_string().into()))),
    ("model_id", Cell::Text(|e| Some(Cow::from(&e.model.id)))),
    ("model_version", Cell::Integer(|e| e.model.version.into())),
    ("model_sha256", Cell::Text(|e| Some(Cow::from(&e.model.sha256)))),
    ("margin", Cell::Number(|e| e.margin)),
    ("margin_bits", Cell::Text(|e| Some(Cow::from(&e.margin_bits)))),
    ("probability", Cell::Number(|e| e.probability)),
    ("group", Cell::Text(|e| Some(e.group.as_str().into()))),
    ("decision", Cell::Text(|e| e.decision.map(|d| d.as_str().into()))),
    ("overridden", Cell::YesNo(|e| e.overridden)),
    ("rescore", Cell::Text(|e| e.rescore.as_ref().map(|r| rescore(r).into()))),
    ("scored_at", Cell::Time(|e| &e.scored_at)),
    ("received_at", Cell::Time(|e| &e.received_at)),
];
/// The last column: the answers as JSON, for there are other ones with every model.
const INPUTS: &str = "inputs";

fn rescore(rescore: &Rescore) -> &'static str {
    match rescore {
        Rescore::Same => "same",
        Rescore::Different { .. } => "different",
        Rescore::Impossible { .. } => "impossible",
    }
}

fn inputs(entry: &HistoryEntry) -> String {
    serde_json::to_string(&entry.inputs).unwrap_or_default()
}

/// As what the entries are wanted.
pub const FORMAT: Param =
    Param::new("format", Form::OneOf(&["csv", "parquet"]), "As what the entries are wanted.");

/// Streams all that the search finds.
pub async fn export(State(app): State<Shared>, caller: Caller, query: Query) -> ApiResult<Response> {
    let media = query.read(&FORMAT, |text| match text {
        "csv" => Some("text/csv; charset=utf-8"),
        "parquet" => Some(PARQUET),
        _ => None,
    })?;
    let Some(media) = media else {
        return Err(field_error(FORMAT.name, FieldProblem::Required));
    };
    let filter = HistoryFilter { limit: PAGE, after: None, ..filter(&caller, &query)? };
    let is_csv = media.starts_with("text/csv");
    let permit = app.stream_permit()?;
    // Before the first byte leaves.
    let deed = Deed::HistoryExported { format: if is_csv { "csv" } else { "parquet" }.into() };
    app.store.note(Note { by: Doer::User(caller.user), at: now_ms(), deed }).await?;
    let (pieces, outgoing) = mpsc::channel(2);
    let pages =
        Pages { runtime: tokio::runtime::Handle::current(), store: app.store.clone(), filter, more: true };
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let ended = if is_csv { csv(pages, &pieces) } else { parquet(pages, &pieces) };
        if let Err(Ended::Failed(error)) = ended {
            tracing::error!(%error, "an export broke off");
            // So that the answer ends without its end, and nobody takes a part for the whole.
            let _ = pieces.blocking_send(Err(std::io::Error::other("the export broke off")));
        }
    });
    let name = if is_csv { "history.csv" } else { "history.parquet" };
    let mut response = streamed(outgoing, HeaderValue::from_static(media));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition.map_err(ApiError::internal)?);
    Ok(response)
}

/// Why an export ended early.
enum Ended {
    /// Nobody reads it any more.
    Gone,
    /// The store or a writer failed.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Ended {
    fn from(error: E) -> Self {
        Ended::Failed(error.into())
    }
}

struct Pages {
    runtime: tokio::runtime::Handle,
    store: Arc<dyn Store>,
    filter: HistoryFilter,
    more: bool,
}

impl Pages {
    /// The next entries; none after the last.
    fn next(&mut self) -> Result<Vec<HistoryRow>, Ended> {
        if !self.more {
            return Ok(Vec::new());
        }
        let rows = self.runtime.block_on(self.store.history(self.filter.clone()))?;
        self.more = rows.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
        self.filter.after = rows.last().map(|row| row.key);
        Ok(rows)
    }
}

type Pieces = mpsc::Sender<std::io::Result<Bytes>>;

fn send(pieces: &Pieces, piece: Vec<u8>) -> Result<(), Ended> {
    if piece.is_empty() {
        return Ok(());
    }
    pieces.blocking_send(Ok(piece.into())).map_err(|_| Ended::Gone)
}

/// A text that no spreadsheet takes for a formula (OWASP, "CSV Injection"). Numbers and times are
/// written by this server and are none.
fn safe(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{text}").into()
    } else {
        text
    }
}

fn csv(mut pages: Pages, pieces: &Pieces) -> Result<(), Ended> {
    let mut header = Some(COLUMNS.iter().map(|(name, _)| *name).chain([INPUTS]));
    loop {
        let rows = pages.next()?;
        let mut writer = csv::Writer::from_writer(Vec::new());
        if let Some(header) = header.take() {
            writer.write_record(header)?;
        }
        for HistoryRow { entry, .. } in &rows {
            for (_, cell) in &COLUMNS {
                match cell {
                    Cell::Text(of) => writer.write_field(safe(of(entry).unwrap_or_default()).as_ref())?,
                    Cell::Number(of) => writer.write_field(of(entry).to_string())?,
                    Cell::Integer(of) => writer.write_field(of(entry).to_string())?,
                    Cell::YesNo(of) => writer.write_field(of(entry).to_string())?,
                    Cell::Time(of) => writer.write_field(of(entry))?,
                }
            }
            writer.write_field(safe(inputs(entry).into()).as_ref())?;
            writer.write_record(None::<&[u8]>)?;
        }
        send(pieces, writer.into_inner().map_err(|e| e.into_error())?)?;
        if rows.is_empty() || !pages.more {
            return Ok(());
        }
    }
}

/// What a writer of Parquet wrote and nobody sent yet.
#[derive(Clone, Default)]
struct Written(Arc<std::sync::Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn schema() -> String {
    let columns: String = COLUMNS
        .iter()
        .map(|(name, cell)| match cell {
            Cell::Text(_) => format!("OPTIONAL BYTE_ARRAY {name} (UTF8); "),
            Cell::Number(_) => format!("REQUIRED DOUBLE {name}; "),
            Cell::Integer(_) => format!("REQUIRED INT64 {name}; "),
            Cell::YesNo(_) => format!("REQUIRED BOOLEAN {name}; "),
            Cell::Time(_) => format!("REQUIRED INT64 {name} (TIMESTAMP_MILLIS); "),
        })
        .collect();
    format!("message history {{ {columns} REQUIRED BYTE_ARRAY {INPUTS} (UTF8); }}")
}

fn parquet(mut pages: Pages, pieces: &Pieces) -> Result<(), Ended> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_created_by("vereda-server".into())
        .build();
    let written = Written::default();
    let schema = Arc::new(parse_message_type(&schema())?);
    let mut file = SerializedFileWriter::new(written.clone(), schema, Arc::new(properties))?;
    loop {
        let mut rows = Vec::new();
        for _ in 0..GROUP_PAGES {
            rows.extend(pages.next()?.into_iter().map(|row| row.entry));
        }
        if !rows.is_empty() {
            row_group(&mut file, &rows)?;
            send(pieces, written.take())?;
        }
        if !pages.more {
            break;
        }
    }
    file.close()?;
    send(pieces, written.take())
}

fn row_group(file: &mut SerializedFileWriter<Written>, rows: &[HistoryEntry]) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for (_, cell) in &COLUMNS {
        let Some(mut column) = group.next_column()? else { break };
        write_column(&mut column, cell, rows)?;
        column.close()?;
    }
    if let Some(mut column) = group.next_column()? {
        let values: Vec<ByteArray> = rows.iter().map(|entry| inputs(entry).into_bytes().into()).collect();
        column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        column.close()?;
    }
    group.close().map(|_| ())
}

fn write_column(
    column: &mut SerializedColumnWriter<'_>,
    cell: &Cell,
    rows: &[HistoryEntry],
) -> Result<(), ParquetError> {
    match cell {
        Cell::Text(of) => {
            let texts: Vec<_> = rows.iter().map(of).collect();
            let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
            let values: Vec<ByteArray> =
                texts.into_iter().flatten().map(|text| text.into_owned().into_bytes().into()).collect();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
        }
        Cell::Number(of) => {
            let values: Vec<f64> = rows.iter().map(of).collect();
            column.typed::<DoubleType>().write_batch(&values, None, None)?;
        }
        Cell::Integer(of) => {
            let values: Vec<i64> = rows.iter().map(of).collect();
            column.typed::<Int64Type>().write_batch(&values, None, None)?;
        }
        Cell::YesNo(of) => {
            let values: Vec<bool> = rows.iter().map(of).collect();
            column.typed::<BoolType>().write_batch(&values, None, None)?;
        }
        Cell::Time(of) => {
            let values: Vec<i64> =
                rows.iter().map(|entry| parse_time(of(entry)).unwrap_or_default()).collect();
            column.typed::<Int64Type>().write_batch(&values, None, None)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula() {
        for dangerous in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            assert_eq!(safe(dangerous.into()), format!("'{dangerous}"));
        }
        for harmless in ["", "solicitud-77", "{\"a\":1}", "1-1"] {
            assert_eq!(safe(harmless.into()), harmless);
        }
    }
}
