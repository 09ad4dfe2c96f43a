//! `evaluate`: how good a model's PDs were, on rows whose outcome is known.

use crate::applicants::{self, BadCell, Columns, Reading, Reject, Rejects};
use crate::table::{Line, Table};
use crate::{Error, bundle, output, stream};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;
use vereda_scoring::bundle::Group;
use vereda_scoring::drift::{Drift, Tallies, Tally, Verdict};
use vereda_scoring::figures::{Figures, Outcome, figures, jeffreys};
use vereda_scoring::{Model, ModelRef};

/// What `evaluate` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The bundle.
    bundle: PathBuf,
    /// One applicant per row, `-` for standard input; the first line names the features.
    rows: PathBuf,
    /// The column that says what happened: 1 or true for a default, 0 or false for none.
    #[arg(long, value_name = "COLUMN")]
    target: String,
    /// Write JSON instead of a table of text.
    #[arg(long)]
    json: bool,
    /// Where to write; standard output if absent.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// All that `evaluate` finds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Which model.
    pub model: ModelRef,
    /// Rows that were scored.
    pub rows: u64,
    /// Defaults among them.
    pub bads: u64,
    /// Rows that were set aside.
    pub rejected: u64,
    /// Absent unless there are both defaults and non-defaults.
    pub figures: Option<Figures>,
    /// T1 first.
    pub groups: Vec<GroupOutcome>,
    /// Of the PD, against training.
    pub score_drift: Option<Drift>,
    /// Of each feature, in the order of the schema.
    pub feature_drift: Vec<FeatureDrift>,
}

/// How one group turned out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupOutcome {
    /// Which.
    pub group: Group,
    /// Rows in it.
    pub rows: u64,
    /// Defaults among them.
    pub bads: u64,
    /// Mean PD; absent from an empty group.
    pub predicted: Option<f64>,
    /// Share of defaults; absent from an empty group.
    pub observed: Option<f64>,
    /// Jeffreys 95 % interval of the observed share.
    pub interval: (f64, f64),
    /// Whether the mean PD lies inside it.
    pub calibrated: Option<bool>,
}

/// The drift of a feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureDrift {
    /// Its name.
    pub feature: String,
    /// How far it moved.
    #[serde(flatten)]
    pub drift: Drift,
}

/// Evaluates and prints.
///
/// # Errors
/// When the bundle, the table or a row is refused, or a file cannot be read or written.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let checked = bundle::read(&arguments.bundle)?;
    let table = Table::open(&arguments.rows)?;
    let rejects = Rejects::open(&arguments.reading, &table, &arguments.rows)?;
    let found = evaluate(&checked.model, table, &arguments.target, &arguments.reading, rejects)?;
    let text = if arguments.json { json(&found)? } else { describe(&found) };
    output::write(arguments.out.as_deref(), text.as_bytes())
}

fn json(found: &Evaluation) -> Result<String, Error> {
    let mut text = serde_json::to_string_pretty(found).map_err(Error::Json)?;
    text.push('\n');
    Ok(text)
}

/// Evaluates a table. Keeps 16 bytes per row, which ranking needs.
///
/// # Errors
/// When the table or a row is refused, or a file cannot be read or written.
pub fn evaluate(
    model: &Model,
    table: Table,
    target: &str,
    reading: &Reading,
    mut rejects: Rejects,
) -> Result<Evaluation, Error> {
    let path = table.path().to_owned();
    let columns = Columns::find(model, &table)?;
    let target_column = table.column(target)?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut tallies = Tallies::new(model.bundle());
    stream::run(
        table,
        reading.threads,
        |chunk| {
            let mut rows = Vec::new();
            let sifted = applicants::sift(chunk, &path, reading.on_error, |line| {
                let bad = outcome(line, target, target_column)?;
                columns.encode(line, &mut rows)?;
                Ok(bad)
            })?;
            let mut tallies = Tallies::new(model.bundle());
            let margins = model.margins(&rows)?;
            let bads = sifted.rows.iter().flatten();
            let mut outcomes = Vec::with_capacity(margins.len());
            for ((row, margin), bad) in rows.chunks(model.width()).zip(margins).zip(bads) {
                let pd = model.probability(margin);
                tallies.count(row, pd);
                outcomes.push(Outcome { pd, bad: *bad });
            }
            Ok((sifted, tallies, outcomes))
        },
        |(sifted, more, known)| {
            tallies.add(&more);
            rejects.take(&sifted)?;
            outcomes.extend(known);
            Ok(())
        },
    )?;
    let rejected = rejects.count;
    rejects.finish()?;
    Ok(Evaluation {
        model: model.reference(),
        rows: outcomes.len() as u64,
        bads: outcomes.iter().filter(|outcome| outcome.bad).count() as u64,
        rejected,
        figures: figures(&outcomes),
        groups: groups(model, &outcomes),
        score_drift: tallies.score.as_ref().and_then(Tally::drift),
        feature_drift: tallies
            .features
            .iter()
            .filter_map(|(_, name, tally)| {
                Some(FeatureDrift { feature: (*name).to_owned(), drift: tally.drift()? })
            })
            .collect(),
    })
}

fn outcome(line: &Line, name: &str, column: usize) -> Result<bool, Reject> {
    let text = applicants::text(line, column);
    // Tables of numbers often hold the outcome as 0.0 and 1.0.
    let known = match text.as_ref() {
        "0.0" => Some(false),
        "1.0" => Some(true),
        text => applicants::yes_or_no(text),
    };
    known.ok_or_else(|| {
        let problem = "the outcome must be 1 (default) or 0 (none)".into();
        Reject::of(line, vec![BadCell { column: name.to_owned(), value: text.into_owned(), problem }])
    })
}

fn groups(model: &Model, outcomes: &[Outcome]) -> Vec<GroupOutcome> {
    let mut sums = [(0u64, 0u64, 0.0f64); 8];
    for outcome in outcomes {
        if let Some((rows, bads, pds)) = sums.get_mut(model.group(outcome.pd).index()) {
            *rows += 1;
            *bads += u64::from(outcome.bad);
            *pds += outcome.pd;
        }
    }
    Group::ALL
        .into_iter()
        .zip(sums)
        .map(|(group, (rows, bads, pds))| {
            let interval = jeffreys(bads, rows);
            let share = |sum: f64| (rows > 0).then(|| sum / rows as f64);
            let predicted = share(pds);
            GroupOutcome {
                group,
                rows,
                bads,
                predicted,
                observed: share(bads as f64),
                interval,
                calibrated: predicted.map(|pd| interval.0 <= pd && pd <= interval.1),
            }
        })
        .collect()
}

/// The evaluation as a table for people.
pub fn describe(found: &Evaluation) -> String {
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = write_text(&mut out, found);
    out
}

fn write_text(out: &mut String, found: &Evaluation) -> std::fmt::Result {
    let percent =
        |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    writeln!(out, "{} {}  {}", found.model.id, found.model.version, found.model.sha256)?;
    let share = (found.rows > 0).then(|| found.bads as f64 / found.rows as f64);
    write!(out, "{} rows, {} defaults ({})", found.rows, found.bads, percent(share))?;
    writeln!(
        out,
        "{}",
        if found.rejected > 0 { format!(", {} set aside", found.rejected) } else { String::new() }
    )?;
    match found.figures {
        Some(f) => {
            writeln!(out, "\n  AUC       {:.4}", f.auc)?;
            writeln!(out, "  Gini      {:.4}", f.gini)?;
            writeln!(out, "  KS        {:.4}", f.ks)?;
            writeln!(out, "  Brier     {:.4}", f.brier)?;
            writeln!(out, "  log-loss  {:.4}", f.log_loss)?;
        }
        None => writeln!(out, "\n  no AUC: it needs both defaults and non-defaults")?,
    }
    writeln!(out, "\nCalibration by group, with Jeffreys' 95 % interval of the observed share")?;
    writeln!(out, "  group     rows  defaults  predicted  observed  interval")?;
    for group in &found.groups {
        let interval = match group.observed {
            Some(_) => format!("{:.1} to {:.1} %", 100.0 * group.interval.0, 100.0 * group.interval.1),
            None => "-".into(),
        };
        let outside = if group.calibrated == Some(false) { "  predicted lies outside" } else { "" };
        writeln!(
            out,
            "  {:<5} {:>8}  {:>8}  {:>9}  {:>8}  {:<14}{outside}",
            group.group.as_str(),
            group.rows,
            group.bads,
            percent(group.predicted),
            percent(group.observed),
            interval
        )?;
    }
    if found.score_drift.is_none() && found.feature_drift.is_empty() {
        return writeln!(out, "\nNo drift: the bundle does not know how its training data were spread");
    }
    writeln!(out, "\nDrift against training (PSI: below 0.1 stable, from 0.25 shifted)")?;
    let mut line = |name: &str, drift: &Drift| {
        let verdict = match drift.verdict {
            Verdict::Stable => "stable",
            Verdict::Watch => "watch",
            Verdict::Shifted => "SHIFTED",
        };
        let missing = if drift.missing_then > 0.0 || drift.missing_now > 0.0 {
            format!(
                "  missing {} then, {} now",
                percent(Some(drift.missing_then)),
                percent(Some(drift.missing_now))
            )
        } else {
            String::new()
        };
        writeln!(out, "  {name:<24} {:.4}  {verdict:<7}{missing}", drift.psi)
    };
    if let Some(drift) = &found.score_drift {
        line("score", drift)?;
    }
    for feature in &found.feature_drift {
        line(&feature.feature, &feature.drift)?;
    }
    Ok(())
}
