//! `score` and `explain`: a line of results for every row of a table.

use crate::applicants::{self, Columns, Reading, Rejects};
use crate::output::Output;
use crate::table::Table;
use crate::{Error, bundle, stream};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;
use vereda_scoring::Model;

/// What `score` and `explain` take.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The bundle.
    bundle: PathBuf,
    /// One applicant per row, `-` for standard input; the first line names the features.
    rows: PathBuf,
    /// Where to write; standard output if absent. The file appears whole or not at all.
    #[arg(long, value_name = "CSV")]
    out: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// What is written about each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// `margin,pd,group`.
    Score,
    /// And `contrib_<feature>` for each scored feature, and `contrib_bias`; they add up to the margin.
    Explanation,
}

/// Scores a table.
///
/// # Errors
/// When the bundle, the table or a row is refused, or a file cannot be read or written.
pub fn run(arguments: &Arguments, detail: Detail) -> Result<(), Error> {
    let checked = bundle::read(&arguments.bundle)?;
    let model = &checked.model;
    let table = Table::open(&arguments.rows)?;
    let path = table.path().to_owned();
    let columns = Columns::find(model, &table)?;
    let unused = columns.unused(&table, &[]);
    let mut rejects = Rejects::open(&arguments.reading, &table, &arguments.rows)?;
    let mut output = Output::open(arguments.out.as_deref())?;
    let header = header(model, detail);
    output.write(header.as_bytes())?;

    let start = Instant::now();
    let mut groups = [0u64; 8];
    stream::run(
        table,
        arguments.reading.threads,
        |chunk| {
            let mut rows = Vec::new();
            let sifted = applicants::sift(chunk, &path, arguments.reading.on_error, |line| {
                columns.encode(line, &mut rows)
            })?;
            let mut groups = [0u64; 8];
            let lines = lines(model, &rows, &sifted.rows, detail, &mut groups)?;
            Ok((lines, sifted, groups))
        },
        |(lines, sifted, more)| {
            for (count, more) in groups.iter_mut().zip(more) {
                *count += more;
            }
            rejects.take(&sifted)?;
            output.write(lines.as_bytes())
        },
    )?;
    output.finish()?;
    let took = start.elapsed();
    if !unused.is_empty() {
        eprintln!("columns that the model does not ask for: {}", unused.join(", "));
    }
    let counts: Vec<String> =
        groups.iter().enumerate().map(|(index, count)| format!("T{} {count}", index + 1)).collect();
    eprintln!(
        "{} rows scored with {} {} in {took:.0?}: {}",
        groups.iter().sum::<u64>(),
        model.id(),
        model.version(),
        counts.join(", ")
    );
    rejects.finish()
}

/// A line for every row. A row that was set aside leaves empty cells: line n stays the answer to row n.
fn lines(
    model: &Model,
    numbers: &[f64],
    rows: &[Option<()>],
    detail: Detail,
    groups: &mut [u64; 8],
) -> Result<String, Error> {
    let margins = model.margins(numbers)?;
    let contributions = match detail {
        Detail::Score => Vec::new(),
        Detail::Explanation => model.contributions(numbers)?,
    };
    let features = &model.bundle().schema.features;
    let is_scored = |name: &str| model.scored_features().any(|feature| feature.name == name);
    // The bias stands after the features.
    let shown: Vec<bool> = features.iter().map(|feature| is_scored(&feature.name)).chain([true]).collect();
    let commas = header(model, detail).matches(',').count();
    let (mut margins, mut contributions) = (margins.iter(), contributions.chunks(shown.len()));
    let mut out = String::with_capacity(rows.len() * 48);
    for row in rows {
        match row.and_then(|()| margins.next()) {
            // As many digits as it takes to read back the same double. Writing into a string does
            // not fail.
            Some(margin) => {
                let pd = model.probability(*margin);
                let group = model.group(pd);
                if let Some(count) = groups.get_mut(group.index()) {
                    *count += 1;
                }
                let _ = write!(out, "{margin:?},{pd:?},{group}");
                let parts = contributions.next().unwrap_or_default();
                for (part, _) in parts.iter().zip(&shown).filter(|(_, shown)| **shown) {
                    let _ = write!(out, ",{part:?}");
                }
            }
            None => out.extend(std::iter::repeat_n(',', commas)),
        }
        out.push('\n');
    }
    Ok(out)
}

fn header(model: &Model, detail: Detail) -> String {
    let mut header = "margin,pd,group".to_owned();
    if detail == Detail::Explanation {
        for feature in model.scored_features() {
            let _ = write!(header, ",contrib_{}", feature.name);
        }
        header.push_str(",contrib_bias");
    }
    header.push('\n');
    header
}
