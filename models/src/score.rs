//! `score` and `explain`: a line of results for every row of a table.

use crate::applicants::{self, Columns, Reading, Rejects};
use crate::output::Output;
use crate::table::Table;
use crate::{Error, bundle, stream};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;
use vereda_scoring::bundle::Group;
use vereda_scoring::{InputError, Inputs, Model};

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
    let (mut rows, mut groups) = (0u64, [0u64; 8]);
    stream::run(
        table,
        arguments.reading.threads,
        |chunk| {
            let sifted = applicants::sift(chunk, &path, arguments.reading.on_error, |line| {
                columns.with(line, |inputs| answer(model, inputs, detail))
            })?;
            let lines = lines(&sifted.rows, header.matches(',').count());
            Ok((lines, sifted))
        },
        |(lines, sifted)| {
            for answer in sifted.rows.iter().flatten() {
                rows += 1;
                if let Some(count) = groups.get_mut(answer.group.index()) {
                    *count += 1;
                }
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
        "{rows} rows scored with {} {} in {took:.0?}: {}",
        model.id(),
        model.version(),
        counts.join(", ")
    );
    rejects.finish()
}

/// What is written about one row.
struct Answer {
    margin: f64,
    pd: f64,
    group: Group,
    /// Contributions in the order of the schema, the bias last; none for [`Detail::Score`].
    parts: Vec<f64>,
}

fn answer(model: &Model, inputs: &Inputs, detail: Detail) -> Result<Answer, InputError> {
    match detail {
        Detail::Score => {
            let margin = model.margin(inputs)?;
            let pd = model.probability(margin);
            Ok(Answer { margin, pd, group: model.group(pd), parts: Vec::new() })
        }
        Detail::Explanation => {
            let score = model.score(inputs)?;
            let parts = score.contributions.iter().map(|contribution| contribution.value);
            let parts = parts.chain([score.bias]).collect();
            Ok(Answer { margin: score.margin, pd: score.probability, group: score.group, parts })
        }
    }
}

/// A line for every row. A row that was set aside leaves empty cells: line n stays the answer to row n.
fn lines(rows: &[Option<Answer>], commas: usize) -> String {
    let mut out = String::with_capacity(rows.len() * 48);
    for row in rows {
        match row {
            // As many digits as it takes to read back the same double. Writing into a string does
            // not fail.
            Some(Answer { margin, pd, group, parts }) => {
                let _ = write!(out, "{margin:?},{pd:?},{group}");
                for part in parts {
                    let _ = write!(out, ",{part:?}");
                }
            }
            None => out.extend(std::iter::repeat_n(',', commas)),
        }
        out.push('\n');
    }
    out
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
