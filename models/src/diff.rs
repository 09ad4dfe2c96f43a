//! `diff`: what a second model would change for the applicants of a table.

use crate::applicants::{self, Columns, Reading, Rejects};
use crate::output::{self, Output};
use crate::table::Table;
use crate::{Error, bundle, stream};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::path::PathBuf;
use vereda_scoring::bundle::{Decision, Group};
use vereda_scoring::{Model, ModelRef};

/// What `diff` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The bundle in use.
    old: PathBuf,
    /// The bundle that would replace it.
    new: PathBuf,
    /// One applicant per row, `-` for standard input; the first line names the features of both.
    rows: PathBuf,
    /// A column that names the applicants; otherwise they go by the number of their row.
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// How many of the largest movers to list.
    #[arg(long, value_name = "N", default_value = "10")]
    top: usize,
    /// Where to write everybody who changes group, as CSV: row, id, both groups, PDs and decisions.
    #[arg(long, value_name = "CSV")]
    changes: Option<PathBuf>,
    /// Write JSON instead of a table of text.
    #[arg(long)]
    json: bool,
    /// Where to write; standard output if absent.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// What a second model would change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The model in use.
    pub old: ModelRef,
    /// The model that would replace it.
    pub new: ModelRef,
    /// Rows that both scored.
    pub rows: u64,
    /// Rows that were set aside.
    pub rejected: u64,
    /// Rows that change group.
    pub changed: u64,
    /// Of these, to a riskier group.
    pub riskier: u64,
    /// Rows for which policy suggests another decision.
    pub decisions: u64,
    /// Mean of the new PD less the old one.
    pub mean_change: f64,
    /// Rows by old group (outer, T1 first) and new group (inner).
    pub matrix: [[u64; 8]; 8],
    /// Rows by old decision (outer: approve, refer, refuse) and new decision (inner).
    pub decision_matrix: [[u64; 3]; 3],
    /// Those whose PD changes most, the largest change first.
    pub movers: Vec<Mover>,
}

/// One applicant under both models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mover {
    /// 1 for the first row after the header.
    pub row: u64,
    /// What the column of `--id` says.
    pub id: Option<String>,
    /// Under the model in use.
    pub old: Said,
    /// Under the other.
    pub new: Said,
}

/// What a model says about somebody.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Said {
    /// Probability of default.
    pub pd: f64,
    /// T1 to T8.
    pub group: Group,
    /// What policy suggests for the group.
    pub decision: Decision,
}

impl Said {
    fn all(model: &Model, rows: &[f64]) -> Result<Vec<Said>, Error> {
        let said = |margin: f64| {
            let pd = model.probability(margin);
            let group = model.group(pd);
            let text = model.bundle().groups.groups.get(group.index());
            Said { pd, group, decision: text.map_or(Decision::Refer, |text| text.decision) }
        };
        Ok(model.margins(rows)?.into_iter().map(said).collect())
    }
}

impl Mover {
    fn change(&self) -> f64 {
        self.new.pd - self.old.pd
    }

    /// Larger is a larger change; among equals, the earlier row.
    fn rank(&self) -> (u64, Reverse<u64>) {
        // The bits of non-negative doubles are in the order of the doubles.
        (self.change().abs().to_bits(), Reverse(self.row))
    }
}

/// For the heap of the largest movers, the smallest of them on top.
struct Ranked(Mover);

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.0.rank() == other.0.rank()
    }
}
impl Eq for Ranked {}
impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.rank().cmp(&self.0.rank())
    }
}

/// Compares and prints.
///
/// # Errors
/// When a bundle, the table or a row is refused, or a file cannot be read or written.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let (old, new) = (bundle::read(&arguments.old)?, bundle::read(&arguments.new)?);
    let found = diff(&old.model, &new.model, arguments)?;
    let text = if arguments.json {
        let mut text = serde_json::to_string_pretty(&found).map_err(Error::Json)?;
        text.push('\n');
        text
    } else {
        describe(&found)
    };
    output::write(arguments.out.as_deref(), text.as_bytes())
}

fn diff(old: &Model, new: &Model, arguments: &Arguments) -> Result<Difference, Error> {
    let table = Table::open(&arguments.rows)?;
    let path = table.path().to_owned();
    let (old_columns, new_columns) = (Columns::find(old, &table)?, Columns::find(new, &table)?);
    let id_column = arguments.id.as_deref().map(|name| table.column(name)).transpose()?;
    let mut rejects = Rejects::open(&arguments.reading, &table, &arguments.rows)?;
    let mut changes = arguments.changes.as_deref().map(|path| Output::open(Some(path))).transpose()?;
    if let Some(output) = &mut changes {
        output.write(b"row,id,old_group,new_group,old_pd,new_pd,old_decision,new_decision\n")?;
    }

    let mut found = Difference {
        old: old.reference(),
        new: new.reference(),
        rows: 0,
        rejected: 0,
        changed: 0,
        riskier: 0,
        decisions: 0,
        mean_change: 0.0,
        matrix: [[0; 8]; 8],
        decision_matrix: [[0; 3]; 3],
        movers: Vec::new(),
    };
    let mut largest = BinaryHeap::new();
    let mut sum = 0.0;
    stream::run(
        table,
        arguments.reading.threads,
        |chunk| {
            let (mut old_rows, mut new_rows) = (Vec::new(), Vec::new());
            let sifted = applicants::sift(chunk, &path, arguments.reading.on_error, |line| {
                let before = old_rows.len();
                old_columns.encode(line, &mut old_rows)?;
                new_columns.encode(line, &mut new_rows).inspect_err(|_| old_rows.truncate(before))?;
                Ok((line.row, id_column.map(|column| applicants::text(line, column).into_owned())))
            })?;
            let said = Said::all(old, &old_rows)?.into_iter().zip(Said::all(new, &new_rows)?);
            let who = sifted.rows.iter().flatten();
            let movers =
                who.zip(said).map(|((row, id), (old, new))| Mover { row: *row, id: id.clone(), old, new });
            let movers: Vec<Mover> = movers.collect();
            Ok((movers, sifted))
        },
        |(movers, sifted)| {
            rejects.take(&sifted)?;
            let mut lines = csv::Writer::from_writer(Vec::new());
            for mover in movers {
                count(&mut found, &mover);
                sum += mover.change();
                if mover.old.group != mover.new.group {
                    // Into memory: this does not fail.
                    let _ = lines.write_record(record(&mover));
                }
                if mover.change() != 0.0 {
                    largest.push(Ranked(mover));
                    if largest.len() > arguments.top {
                        largest.pop();
                    }
                }
            }
            match &mut changes {
                Some(output) => output.write(&lines.into_inner().unwrap_or_default()),
                None => Ok(()),
            }
        },
    )?;
    found.rejected = rejects.count;
    rejects.finish()?;
    if let Some(output) = changes {
        output.finish()?;
    }
    found.mean_change = if found.rows == 0 { 0.0 } else { sum / found.rows as f64 };
    // The order of `Ranked` puts the largest change first.
    found.movers = largest.into_sorted_vec().into_iter().map(|Ranked(mover)| mover).collect();
    Ok(found)
}

fn record(mover: &Mover) -> [String; 8] {
    [
        mover.row.to_string(),
        mover.id.clone().unwrap_or_default(),
        mover.old.group.to_string(),
        mover.new.group.to_string(),
        format!("{:?}", mover.old.pd),
        format!("{:?}", mover.new.pd),
        mover.old.decision.as_str().to_owned(),
        mover.new.decision.as_str().to_owned(),
    ]
}

fn count(found: &mut Difference, mover: &Mover) {
    found.rows += 1;
    found.changed += u64::from(mover.old.group != mover.new.group);
    found.riskier += u64::from(mover.new.group > mover.old.group);
    found.decisions += u64::from(mover.old.decision != mover.new.decision);
    let row = found.matrix.get_mut(mover.old.group.index());
    if let Some(cell) = row.and_then(|row| row.get_mut(mover.new.group.index())) {
        *cell += 1;
    }
    let row = found.decision_matrix.get_mut(place(mover.old.decision));
    if let Some(cell) = row.and_then(|row| row.get_mut(place(mover.new.decision))) {
        *cell += 1;
    }
}

fn place(decision: Decision) -> usize {
    Decision::ALL.iter().position(|known| *known == decision).unwrap_or_default()
}

/// The difference as a table for people.
pub fn describe(found: &Difference) -> String {
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = write_text(&mut out, found);
    out
}

fn write_text(out: &mut String, found: &Difference) -> std::fmt::Result {
    let share = |count: u64| {
        if found.rows == 0 { 0.0 } else { 100.0 * count as f64 / found.rows as f64 }
    };
    for (what, model) in [("old", &found.old), ("new", &found.new)] {
        writeln!(out, "{what}  {} {}  {}", model.id, model.version, model.sha256)?;
    }
    write!(out, "\n{} of {} rows change group ({:.1} %)", found.changed, found.rows, share(found.changed))?;
    writeln!(out, ": {} to a riskier one, {} to a safer one", found.riskier, found.changed - found.riskier)?;
    writeln!(
        out,
        "{} ({:.1} %) change the decision that policy suggests; the mean PD moves by {:+.2} points",
        found.decisions,
        share(found.decisions),
        100.0 * found.mean_change
    )?;
    if found.rejected > 0 {
        writeln!(out, "{} rows were set aside", found.rejected)?;
    }
    writeln!(out, "\nRows by old group (down) and new group (across)")?;
    let heads: String = Group::ALL.iter().map(|group| format!("{:>8}", group.as_str())).collect();
    writeln!(out, "    {heads}     total")?;
    for (group, row) in Group::ALL.iter().zip(&found.matrix) {
        let cells: String = row
            .iter()
            .map(|count| if *count == 0 { format!("{:>8}", "·") } else { format!("{count:>8}") })
            .collect();
        writeln!(out, "  {}{cells}  {:>8}", group.as_str(), row.iter().sum::<u64>())?;
    }
    let totals: String = (0..8)
        .map(|new| format!("{:>8}", found.matrix.iter().filter_map(|row| row.get(new)).sum::<u64>()))
        .collect();
    writeln!(out, "    {totals}  {:>8}", found.rows)?;
    if found.decisions > 0 {
        writeln!(out, "\nDecisions that change")?;
        for (old, row) in Decision::ALL.map(Decision::as_str).iter().zip(&found.decision_matrix) {
            for (new, count) in Decision::ALL.map(Decision::as_str).iter().zip(row) {
                if old != new && *count > 0 {
                    writeln!(out, "  {old:<7} to {new:<7} {count:>8}")?;
                }
            }
        }
    }
    if !found.movers.is_empty() {
        writeln!(out, "\nLargest movers")?;
        for mover in &found.movers {
            let who = match &mover.id {
                // Comes from the table and goes to a terminal.
                Some(id) => id.chars().take(40).flat_map(char::escape_debug).collect(),
                None => format!("row {}", mover.row),
            };
            writeln!(
                out,
                "  {who:<16} {} {:>6.2} %  to  {} {:>6.2} %   {:+.2} points",
                mover.old.group,
                100.0 * mover.old.pd,
                mover.new.group,
                100.0 * mover.new.pd,
                100.0 * mover.change()
            )?;
        }
    }
    Ok(())
}
