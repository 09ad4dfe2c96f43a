//! Reading a CSV table, a few thousand rows at a time: memory does not grow with the table.

use crate::Error;
use csv::{ByteRecord, StringRecord};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows per chunk: enough to make handing one to another thread cheap.
const CHUNK_ROWS: usize = 1024;
/// Bytes after which a chunk ends early.
const CHUNK_BYTES: usize = 1 << 20;
/// The longest row. Without a limit, a quote that is never closed would read all of a table as one
/// cell.
const MAX_ROW_BYTES: u64 = 1 << 20;

/// A table of which the header has been read.
pub struct Table {
    path: PathBuf,
    reader: csv::Reader<Metered>,
    header: StringRecord,
    meter: Arc<Meter>,
    /// Bytes, if the table is a file.
    size: Option<u64>,
    rows: u64,
}

/// Consecutive rows.
#[derive(Default)]
pub struct Chunk {
    /// In the order of the table.
    pub lines: Vec<Line>,
}

/// One row as it stands in the file.
pub struct Line {
    /// 1 for the first row after the header.
    pub row: u64,
    /// Where it begins in the file, from 1.
    pub line: u64,
    /// Its cells, without blanks around them.
    pub cells: ByteRecord,
}

/// How far reading has got.
#[derive(Default)]
struct Meter {
    read: AtomicU64,
    /// What may still be read before the row that is being read must be complete.
    allowance: AtomicU64,
}

struct Metered {
    inner: Box<dyn Read + Send>,
    meter: Arc<Meter>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let allowance = self.meter.allowance.load(Ordering::Relaxed);
        if allowance == 0 {
            return Err(std::io::Error::other(format!(
                "a row is longer than {MAX_ROW_BYTES} bytes: is a quote not closed?"
            )));
        }
        let count = self.inner.read(buffer)?;
        self.meter.allowance.store(allowance.saturating_sub(count as u64), Ordering::Relaxed);
        self.meter.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Table {
    /// Opens a file, or standard input for `-`, and reads its header.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Csv`].
    pub fn open(path: &Path) -> Result<Table, Error> {
        let fails = |source| Error::File { action: "read", path: path.to_owned(), source };
        if path == Path::new("-") {
            return Table::read("standard input".into(), Box::new(std::io::stdin()), None);
        }
        let file = File::open(path).map_err(fails)?;
        let about = file.metadata().map_err(fails)?;
        if about.is_dir() {
            return Err(fails(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
        }
        Table::read(path.to_owned(), Box::new(file), about.is_file().then_some(about.len()))
    }

    /// Reads the header of a table that comes from anywhere.
    ///
    /// # Errors
    /// [`Error::Csv`].
    pub fn read(path: PathBuf, inner: Box<dyn Read + Send>, size: Option<u64>) -> Result<Table, Error> {
        let meter = Arc::new(Meter::default());
        meter.allowance.store(MAX_ROW_BYTES, Ordering::Relaxed);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            // A row of another length is refused by name, not by the reader.
            .flexible(true)
            .from_reader(Metered { inner, meter: Arc::clone(&meter) });
        let header = match reader.headers() {
            Ok(header) => header.clone(),
            Err(source) => return Err(Error::Csv { path, source }),
        };
        Ok(Table { path, reader, header, meter, size, rows: 0 })
    }

    /// What the table is called in messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the columns.
    pub fn header(&self) -> &StringRecord {
        &self.header
    }

    /// Bytes in all, if that is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// A view of how many bytes have been read, for another thread.
    pub fn bytes_read(&self) -> impl Fn() -> u64 + Send + use<> {
        let meter = Arc::clone(&self.meter);
        move || meter.read.load(Ordering::Relaxed)
    }

    /// Where the column of this name stands; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::RepeatedColumn`].
    pub fn find(&self, name: &str) -> Result<Option<usize>, Error> {
        let mut places = self.header.iter().enumerate().filter(|(_, found)| *found == name);
        match (places.next(), places.next()) {
            (Some(_), Some(_)) => {
                Err(Error::RepeatedColumn { path: self.path.clone(), column: name.to_owned() })
            }
            (place, _) => Ok(place.map(|(index, _)| index)),
        }
    }

    /// Where the column of this name stands.
    ///
    /// # Errors
    /// [`Error::RepeatedColumn`], [`Error::NoColumn`].
    pub fn column(&self, name: &str) -> Result<usize, Error> {
        self.find(name)?.ok_or_else(|| Error::NoColumn {
            path: self.path.clone(),
            column: name.to_owned(),
            header: self.header.iter().map(str::to_owned).collect(),
        })
    }

    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Csv`].
    pub fn chunk(&mut self) -> Result<Option<Chunk>, Error> {
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        while chunk.lines.len() < CHUNK_ROWS && bytes < CHUNK_BYTES {
            // Bytes of later rows that stand in the reader's buffer are few: it holds 64 kB.
            self.meter.allowance.store(MAX_ROW_BYTES, Ordering::Relaxed);
            let mut cells = ByteRecord::new();
            let more = self
                .reader
                .read_byte_record(&mut cells)
                .map_err(|source| Error::Csv { path: self.path.clone(), source })?;
            if !more {
                break;
            }
            self.rows += 1;
            bytes += cells.as_slice().len();
            let line = cells.position().map_or(0, csv::Position::line);
            chunk.lines.push(Line { row: self.rows, line, cells });
        }
        Ok((!chunk.lines.is_empty()).then_some(chunk))
    }
}
