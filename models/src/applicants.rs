//! Rows of a table as the applicants of a model, and what is done about those that are not.

use crate::Error;
use crate::output::Output;
use crate::table::{Chunk, Line, Table};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use vereda_scoring::bundle::{Feature, Kind};
use vereda_scoring::{Model, Value};

/// What every command that reads a table takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Reading {
    /// What to do about a row that cannot be scored: stop, or set it aside in the rejects file and
    /// go on.
    #[arg(long, value_enum, default_value = "stop")]
    pub on_error: OnError,
    /// Where rows that cannot be scored are set aside, each with the reason; ROWS.rejects.csv if
    /// absent.
    #[arg(long, value_name = "CSV")]
    pub rejects: Option<PathBuf>,
    /// How many threads score; as many as the machine has processors if absent.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// What to do about a row that cannot be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnError {
    /// Stop, and say which row, column and value.
    Stop,
    /// Set it aside and go on.
    Skip,
}

/// Why a row cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// 1 for the first row after the header.
    pub row: u64,
    /// Where it begins in the file, from 1.
    pub line: u64,
    /// Everything that is wrong with it; never empty.
    pub cells: Vec<BadCell>,
}

/// What is wrong with one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCell {
    /// The column's name; empty if the row as a whole is at fault.
    pub column: String,
    /// What stands there.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Reject {
    /// This row, for these reasons.
    pub fn of(line: &Line, cells: Vec<BadCell>) -> Reject {
        Reject { row: line.row, line: line.line, cells }
    }
}

impl fmt::Display for BadCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.column.is_empty() {
            return f.write_str(&self.problem);
        }
        // The value goes to a terminal: nothing in it may move the cursor or fill the screen.
        let shown: String = self.value.chars().take(60).flat_map(char::escape_debug).collect();
        let rest = if self.value.chars().nth(60).is_some() { "…" } else { "" };
        write!(f, "column {}, value \"{shown}{rest}\": {}", self.column, self.problem)
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} (line {})", self.row, self.line)?;
        for (index, cell) in self.cells.iter().enumerate() {
            write!(f, "{}{cell}", if index == 0 { ", " } else { "; " })?;
        }
        Ok(())
    }
}

/// Where a model's features stand in a table.
pub struct Columns<'a> {
    model: &'a Model,
    /// In the order of the schema.
    places: Vec<(&'a Feature, usize)>,
    /// Cells per row.
    width: usize,
}

impl<'a> Columns<'a> {
    /// Finds every feature of the model.
    ///
    /// # Errors
    /// [`Error::Columns`], [`Error::RepeatedColumn`].
    pub fn find(model: &'a Model, table: &Table) -> Result<Columns<'a>, Error> {
        let (mut places, mut absent) = (Vec::new(), Vec::new());
        for feature in &model.bundle().schema.features {
            match table.find(&feature.name)? {
                Some(column) => places.push((feature, column)),
                None => absent.push(feature.name.clone()),
            }
        }
        if !absent.is_empty() {
            let expected =
                model.bundle().schema.features.iter().map(|feature| feature.name.clone()).collect();
            return Err(Error::Columns { path: table.path().to_owned(), columns: absent, expected });
        }
        Ok(Columns { model, places, width: table.header().len() })
    }

    /// The columns of the table that the model does not ask for, without those named.
    pub fn unused(&self, table: &Table, known: &[&str]) -> Vec<String> {
        let used = |name: &&str| self.model.feature(name).is_some() || known.contains(name);
        table.header().iter().filter(|name| !used(name)).map(str::to_owned).collect()
    }

    /// Adds the row's answers to the end of `rows`, a number per feature as [`Model::margins`] takes
    /// them.
    ///
    /// # Errors
    /// Everything that is wrong with the row; nothing is added.
    pub fn encode(&self, line: &Line, rows: &mut Vec<f64>) -> Result<(), Reject> {
        if line.cells.len() != self.width {
            return Err(Reject::of(
                line,
                vec![BadCell {
                    column: String::new(),
                    value: String::new(),
                    problem: format!("it has {} cells and the header has {}", line.cells.len(), self.width),
                }],
            ));
        }
        let (before, mut bad) = (rows.len(), Vec::new());
        for (index, (feature, column)) in self.places.iter().enumerate() {
            let text = text(line, *column);
            match self.model.encode_cell(index, &text) {
                Ok(x) => rows.push(x),
                Err(problem) => bad.push(BadCell {
                    column: feature.name.clone(),
                    value: text.into_owned(),
                    problem: problem.to_string(),
                }),
            }
        }
        if bad.is_empty() {
            return Ok(());
        }
        rows.truncate(before);
        Err(Reject::of(line, bad))
    }
}

/// A cell as text; bytes that are no UTF-8 show as replacement characters, which no feature accepts.
pub fn text(line: &Line, column: usize) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(line.cells.get(column).unwrap_or_default())
}

/// A cell as yes or no: `1`, `0`, `true`, `false`.
pub fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A cell as an answer of an interview. What cannot be read as the feature's kind stays text, which
/// the model then refuses by the name of the feature.
pub fn value(feature: &Feature, text: &str) -> Value {
    if ["", "na", "nan"].iter().any(|missing| text.eq_ignore_ascii_case(missing)) {
        return Value::Missing;
    }
    let as_is = || Value::Category(text.to_owned());
    match &feature.kind {
        Kind::Number { .. } | Kind::Integer { .. } => text.parse().map_or_else(|_| as_is(), Value::Number),
        Kind::Boolean => yes_or_no(text).map_or_else(as_is, Value::Boolean),
        Kind::Category { .. } => as_is(),
    }
}

/// The results of a chunk, with the rows that gave none.
pub struct Sifted<T> {
    /// One per row, `None` for a reject.
    pub rows: Vec<Option<T>>,
    /// What goes into the rejects file: CSV lines.
    rejects: Vec<u8>,
    rejected: u64,
}

/// Runs every row of a chunk, and either stops at the first that cannot be scored or sets it aside.
///
/// # Errors
/// [`Error::Row`].
pub fn sift<T>(
    chunk: &Chunk,
    path: &Path,
    on_error: OnError,
    mut each: impl FnMut(&Line) -> Result<T, Reject>,
) -> Result<Sifted<T>, Error> {
    let mut sifted = Sifted { rows: Vec::with_capacity(chunk.lines.len()), rejects: Vec::new(), rejected: 0 };
    let mut writer = csv::Writer::from_writer(&mut sifted.rejects);
    for line in &chunk.lines {
        match each(line) {
            Ok(row) => sifted.rows.push(Some(row)),
            Err(reject) if on_error == OnError::Stop => {
                return Err(Error::Row { path: path.to_owned(), reject });
            }
            Err(reject) => {
                sifted.rows.push(None);
                sifted.rejected += 1;
                let join =
                    |part: fn(&BadCell) -> &str| reject.cells.iter().map(part).collect::<Vec<_>>().join("; ");
                let mut record = csv::ByteRecord::new();
                record.push_field(reject.line.to_string().as_bytes());
                record.push_field(join(|cell| &cell.column).as_bytes());
                record.push_field(join(|cell| &cell.value).as_bytes());
                record.push_field(join(|cell| &cell.problem).as_bytes());
                record.extend(line.cells.iter());
                // Into memory: this does not fail.
                let _ = writer.write_byte_record(&record);
            }
        }
    }
    drop(writer);
    Ok(sifted)
}

/// The rejects file: the table's own columns after four that say what is wrong, so that a corrected
/// file can be scored as it is.
pub struct Rejects {
    output: Option<Output>,
    path: PathBuf,
    /// How many rows were set aside.
    pub count: u64,
}

impl Rejects {
    /// Opens the file, if rows are to be set aside.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(reading: &Reading, table: &Table, rows: &Path) -> Result<Rejects, Error> {
        let path = reading.rejects.clone().unwrap_or_else(|| {
            if rows == Path::new("-") { "rejects.csv".into() } else { rows.with_extension("rejects.csv") }
        });
        if reading.on_error == OnError::Stop {
            return Ok(Rejects { output: None, path, count: 0 });
        }
        let mut output = Output::open(Some(&path))?;
        let mut header = csv::Writer::from_writer(Vec::new());
        let ours = ["reject_line", "reject_column", "reject_value", "reject_reason"];
        // Into memory: this does not fail.
        let _ = header.write_record(ours.into_iter().chain(table.header().iter()));
        output.write(&header.into_inner().unwrap_or_default())?;
        Ok(Rejects { output: Some(output), path, count: 0 })
    }

    /// Takes the rejects of a chunk.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn take<T>(&mut self, sifted: &Sifted<T>) -> Result<(), Error> {
        self.count += sifted.rejected;
        match &mut self.output {
            Some(output) => output.write(&sifted.rejects),
            None => Ok(()),
        }
    }

    /// Puts the file in its place and says how many rows it holds.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn finish(self) -> Result<(), Error> {
        if let Some(output) = self.output {
            output.finish()?;
            eprintln!("{} rows could not be scored: see {}", self.count, self.path.display());
        }
        Ok(())
    }
}
