//! Requests of any number of rows: NDJSON or CSV in, NDJSON out, in order, while more comes in.
//!
//! A request has a thread of its own, which reads rows, has them taken in groups, and writes what
//! became of each; channels of a few pieces join it to the connection. So memory does not grow with
//! the request, a slow reader slows its own sender, and one wrong row costs only itself.

use super::Shared;
use super::body::next_data;
use super::problem::{ApiError, ApiResult};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use csv::StringRecord;
use serde::Serialize;
use std::cell::Cell;
use std::io::{BufRead, BufReader, Read};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use vereda_domain::api::{ProblemCode, RowError, RowResult, RowsDone};

/// The media type of JSON by lines.
pub const NDJSON: &str = "application/x-ndjson";
/// The largest row, in bytes.
const MAX_ROW: usize = 64 * 1024;
/// What readers may hold beyond a row.
const BUFFER: usize = 8 * 1024;
/// Rows that are taken together.
const GROUP: usize = 256;
/// Pieces that wait between the thread and the connection, each way.
const PIECES: usize = 4;

/// How the rows of a request are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON value per line.
    Ndjson,
    /// A header, then a record per row.
    Csv,
}

/// The format that a request says it has, if it is one of rows.
pub fn format_of(request: &Request) -> Option<Format> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        NDJSON | "application/ndjson" | "application/jsonl" => Some(Format::Ndjson),
        "text/csv" => Some(Format::Csv),
        _ => None,
    }
}

/// A row as it came.
pub enum Raw<'a> {
    /// A line of NDJSON.
    Json(&'a [u8]),
    /// A record, with the header.
    Csv(&'a StringRecord, &'a StringRecord),
}

/// What is done with rows.
pub trait Taker: Send + 'static {
    /// A row that was read.
    type Row;
    /// What became of it.
    type Taken: Serialize;

    /// Whether the columns of a CSV are known.
    fn header(&self, header: &StringRecord) -> ApiResult<()>;
    /// Reads one row.
    fn read(&self, row: Raw<'_>) -> ApiResult<Self::Row>;
    /// Takes rows in; what became of each, in order. A failure is one of all.
    fn take(&self, rows: Vec<Self::Row>) -> impl Future<Output = ApiResult<Vec<ApiResult<Self::Taken>>>>;
}

/// Takes the rows of a request and streams what becomes of them.
///
/// # Errors
/// What is wrong with the request as a whole: its type, its header, or that too many others stream.
pub async fn answer(
    app: &Shared,
    request: Request,
    format: Format,
    taker: impl Taker,
) -> ApiResult<Response> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        let detail = "Send the rows as they are, without Content-Encoding.";
        return Err(ApiError::new(ProblemCode::UnsupportedMedia, detail));
    }
    let permit = app.stream_permit()?;
    let (chunks, incoming) = mpsc::channel(PIECES);
    let (lines, outgoing) = mpsc::channel(PIECES);
    let (begin, begun) = oneshot::channel();
    tokio::spawn(pump(request.into_body(), chunks, app.config.limits.request_timeout()));
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut out = Outgoing { lines, piece: Vec::new() };
        // Whoever asked may be gone; then there is nobody to tell.
        let _ = run(&runtime, format, incoming, &taker, &mut out, begin);
    });
    begun.await.map_err(|_| ApiError::internal("the thread that reads rows ended"))??;
    Ok(streamed(outgoing, HeaderValue::from_static(NDJSON)))
}

/// An answer whose body comes in pieces.
pub fn streamed(pieces: mpsc::Receiver<std::io::Result<Bytes>>, media: HeaderValue) -> Response {
    let body = Body::from_stream(ReceiverStream::new(pieces));
    ([(header::CONTENT_TYPE, media)], body).into_response()
}

/// What somebody who streams is told when too many others do.
pub fn too_many_streams() -> ApiError {
    let detail = "Too many batches and exports run at once. Try again when one has ended.";
    ApiError::new(ProblemCode::Unavailable, detail)
}

/// Brings a body's pieces to the thread, none of which may be long in coming.
async fn pump(mut body: Body, chunks: mpsc::Sender<std::io::Result<Bytes>>, patience: Duration) {
    loop {
        let chunk = match tokio::time::timeout(patience, next_data(&mut body)).await {
            Ok(Ok(Some(data))) => Ok(data),
            Ok(Ok(None)) => return,
            Ok(Err(_)) => Err(std::io::Error::other("the body ended too early or could not be read")),
            Err(_) => Err(std::io::Error::other("the rest of the body did not come in time")),
        };
        let failed = chunk.is_err();
        if chunks.send(chunk).await.is_err() || failed {
            return;
        }
    }
}

/// The body, as the thread reads it.
struct Incoming {
    chunks: mpsc::Receiver<std::io::Result<Bytes>>,
    current: Bytes,
    /// Bytes that may be read until the next row is whole.
    budget: Rc<Cell<usize>>,
    /// Bytes that were read.
    delivered: Rc<Cell<u64>>,
    /// Whether nothing is here to be read now.
    idle: Rc<Cell<bool>>,
}

impl Read for Incoming {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                None => {
                    self.idle.set(true);
                    return Ok(0);
                }
                Some(chunk) => self.current = chunk?,
            }
        }
        if self.budget.get() == 0 {
            return Err(std::io::Error::other(format!("a row has more than {MAX_ROW} bytes")));
        }
        let taken = self.current.split_to(self.current.len().min(out.len()).min(self.budget.get()));
        out.iter_mut().zip(&taken).for_each(|(to, from)| *to = *from);
        self.budget.set(self.budget.get() - taken.len());
        self.delivered.set(self.delivered.get() + taken.len() as u64);
        self.idle.set(self.current.is_empty() && self.chunks.is_empty());
        Ok(taken.len())
    }
}

/// Rows that were read, with their numbers.
type Group<T> = Vec<(u64, ApiResult<T>)>;

struct Outgoing {
    lines: mpsc::Sender<std::io::Result<Bytes>>,
    piece: Vec<u8>,
}

/// The other side is gone.
struct Gone;

impl Outgoing {
    fn line(&mut self, value: &impl Serialize) {
        // Numbers, texts and lists always become JSON.
        let _ = serde_json::to_writer(&mut self.piece, value);
        self.piece.push(b'\n');
    }

    fn send(&mut self) -> Result<(), Gone> {
        let piece = std::mem::take(&mut self.piece);
        self.lines.blocking_send(Ok(piece.into())).map_err(|_| Gone)
    }
}

fn run<T: Taker>(
    runtime: &tokio::runtime::Handle,
    format: Format,
    chunks: mpsc::Receiver<std::io::Result<Bytes>>,
    taker: &T,
    out: &mut Outgoing,
    begin: oneshot::Sender<ApiResult<()>>,
) -> Result<(), Gone> {
    let budget = Rc::new(Cell::new(MAX_ROW + BUFFER));
    let (delivered, idle) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let source = Incoming {
        chunks,
        current: Bytes::new(),
        budget: budget.clone(),
        delivered: delivered.clone(),
        idle: idle.clone(),
    };
    let mut sums = Sums { runtime, taker, out, rows: 0, refused: 0 };
    let mut group = Vec::new();
    let mut number = 0;
    match format {
        Format::Ndjson => {
            begin.send(Ok(())).map_err(|_| Gone)?;
            let mut reader = BufReader::with_capacity(BUFFER, source);
            let mut line = Vec::new();
            loop {
                line.clear();
                number += 1;
                match reader.read_until(b'\n', &mut line) {
                    Ok(0) => break,
                    Err(error) => return sums.broke_off(group, number, &error),
                    Ok(_) => budget.set(MAX_ROW + BUFFER),
                }
                if !line.trim_ascii().is_empty() {
                    group.push((number, taker.read(Raw::Json(&line))));
                }
                if group.len() >= GROUP || (idle.get() && reader.buffer().is_empty()) {
                    sums.settle(&mut group)?;
                }
            }
        }
        Format::Csv => {
            let mut reader = csv::ReaderBuilder::new().buffer_capacity(BUFFER).from_reader(source);
            let header = match reader.headers() {
                Ok(header) => header.clone(),
                Err(error) => {
                    return begin.send(Err(unreadable(&error))).map_err(|_| Gone);
                }
            };
            let known = taker.header(&header);
            let refused = known.is_err();
            begin.send(known).map_err(|_| Gone)?;
            if refused {
                return Ok(());
            }
            let mut record = StringRecord::new();
            loop {
                number += 1;
                budget.set(MAX_ROW + BUFFER);
                match reader.read_record(&mut record) {
                    Ok(false) => break,
                    Ok(true) => group.push((number, taker.read(Raw::Csv(&header, &record)))),
                    Err(error) => match error.kind() {
                        // The reader goes on behind a record that is too short, too long or no UTF-8.
                        csv::ErrorKind::UnequalLengths { .. } | csv::ErrorKind::Utf8 { .. } => {
                            group.push((number, Err(unreadable(&error))));
                        }
                        _ => return sums.broke_off(group, number, &error),
                    },
                }
                let drained = reader.position().byte() >= delivered.get();
                if group.len() >= GROUP || (idle.get() && drained) {
                    sums.settle(&mut group)?;
                }
            }
        }
    }
    sums.settle(&mut group)?;
    let done = RowsDone { done: true, rows: sums.rows, refused: sums.refused };
    sums.out.line(&done);
    sums.out.send()
}

/// The parser's words hold a place and a reason, and nothing of the server's.
fn unreadable(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(ProblemCode::BadRequest, format!("The rows cannot be read: {error}."))
}

struct Sums<'a, T: Taker> {
    runtime: &'a tokio::runtime::Handle,
    taker: &'a T,
    out: &'a mut Outgoing,
    rows: u64,
    refused: u64,
}

impl<T: Taker> Sums<'_, T> {
    /// Has a group taken in and writes what became of it.
    fn settle(&mut self, group: &mut Group<T::Row>) -> Result<(), Gone> {
        if group.is_empty() {
            return Ok(());
        }
        let mut numbers = Vec::with_capacity(group.len());
        let mut readable = Vec::with_capacity(group.len());
        for (number, row) in group.drain(..) {
            numbers.push((number, row.map(|row| readable.push(row)).err()));
        }
        let taken = if readable.is_empty() {
            Ok(Vec::new())
        } else {
            self.runtime.block_on(self.taker.take(readable))
        };
        let (mut taken, failed) = match taken {
            Ok(taken) => (taken.into_iter(), None),
            Err(error) => {
                tracing::error!(code = ?error.code(), cause = error.cause(), "rows could not be taken in");
                (Vec::new().into_iter(), Some(error))
            }
        };
        for (row, refusal) in numbers {
            self.rows += 1;
            let result = match refusal {
                Some(refusal) => Err(refusal),
                None => taken.next().unwrap_or_else(|| {
                    Err(failed.clone().unwrap_or_else(|| ApiError::internal("a row without a result")))
                }),
            };
            self.refused += u64::from(result.is_err());
            let (taken, error) = match result {
                Ok(taken) => (Some(taken), None),
                Err(refusal) => (None, Some(row_error(&refusal))),
            };
            self.out.line(&RowResult { row, taken, error });
        }
        self.out.send()?;
        // What comes after would fare no better, and its sender must learn it.
        failed.map_or(Ok(()), |_| Err(Gone))
    }

    /// Nothing behind this place can be read.
    fn broke_off(
        &mut self,
        mut group: Group<T::Row>,
        number: u64,
        error: &dyn std::fmt::Display,
    ) -> Result<(), Gone> {
        group.push((number, Err(unreadable(error))));
        self.settle(&mut group)
    }
}

fn row_error(refusal: &ApiError) -> RowError {
    RowError {
        code: refusal.code(),
        detail: refusal.detail().to_owned(),
        fields: refusal.field_errors().to_vec(),
    }
}
