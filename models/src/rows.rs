//! Scoring a table: one applicant per row, one column per feature.

use crate::Error;
use std::io::Write;
use std::path::Path;
use vereda_scoring::bundle::{Feature, Kind};
use vereda_scoring::{Inputs, Model, Value};

/// How many bad rows an error lists.
const LISTED: usize = 20;

/// What scoring a table gave.
pub struct Scored {
    /// `margin,pd,group` and a line per row, in the order of the rows. Numbers have as many digits
    /// as it takes to read back the same double.
    pub csv: Vec<u8>,
    /// How many rows.
    pub rows: usize,
    /// How many fell into each group, T1 first.
    pub groups: [usize; 8],
    /// Columns that are not features of the model, and were not used.
    pub unused: Vec<String>,
}

/// Scores every row of a CSV file, or none: a table with a row that the model cannot score is
/// refused, so that no half of a table is taken for the whole.
///
/// # Errors
/// [`Error::File`], [`Error::Csv`], [`Error::Columns`], [`Error::RepeatedColumn`], [`Error::Rows`].
pub fn score(model: &Model, path: &Path) -> Result<Scored, Error> {
    let csv_error = |source: csv::Error| Error::Csv { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(|source| Error::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().map_err(csv_error)?.clone();
    let columns = columns(model, &header, path)?;

    let mut scored = Scored { csv: Vec::new(), rows: 0, groups: [0; 8], unused: Vec::new() };
    scored.unused = header.iter().filter(|name| model.feature(name).is_none()).map(str::to_owned).collect();
    // Writing into memory does not fail.
    let _ = writeln!(scored.csv, "margin,pd,group");
    let (mut bad, mut first) = (0, Vec::new());
    for record in reader.records() {
        let record = record.map_err(csv_error)?;
        scored.rows += 1;
        let mut inputs = Inputs::new();
        for (feature, column) in &columns {
            let text = record.get(*column).unwrap_or_default();
            inputs.insert(feature.name.clone(), value(feature, text));
        }
        match model.margin(&inputs) {
            Ok(margin) => {
                let pd = model.probability(margin);
                let group = model.group(pd);
                if let Some(count) = scored.groups.get_mut(group.index()) {
                    *count += 1;
                }
                let _ = writeln!(scored.csv, "{margin},{pd},{group}");
            }
            Err(error) => {
                bad += 1;
                if first.len() < LISTED {
                    let line = record.position().map_or(0, csv::Position::line);
                    let causes: Vec<String> = error.errors.iter().map(ToString::to_string).collect();
                    first.push(format!("  line {line}: {}", causes.join("; ")));
                }
            }
        }
    }
    if bad > 0 {
        if bad > first.len() {
            first.push(format!("  and {} more", bad - first.len()));
        }
        return Err(Error::Rows { path: path.to_owned(), bad, rows: scored.rows, first });
    }
    Ok(scored)
}

/// Each feature with the column it stands in.
fn columns<'a>(
    model: &'a Model,
    header: &csv::StringRecord,
    path: &Path,
) -> Result<Vec<(&'a Feature, usize)>, Error> {
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for feature in &model.bundle().schema.features {
        let mut places = header.iter().enumerate().filter(|(_, name)| *name == feature.name);
        match (places.next(), places.next()) {
            (Some((column, _)), None) => found.push((feature, column)),
            (None, _) => absent.push(feature.name.clone()),
            (Some(_), Some(_)) => {
                return Err(Error::RepeatedColumn { path: path.to_owned(), column: feature.name.clone() });
            }
        }
    }
    if absent.is_empty() {
        return Ok(found);
    }
    let expected = model.bundle().schema.features.iter().map(|feature| feature.name.clone()).collect();
    Err(Error::Columns { path: path.to_owned(), columns: absent, expected })
}

/// A cell as an answer. What cannot be read as the feature's kind stays text, which the model then
/// refuses by the name of the feature.
fn value(feature: &Feature, text: &str) -> Value {
    if ["", "na", "nan"].iter().any(|missing| text.eq_ignore_ascii_case(missing)) {
        return Value::Missing;
    }
    let as_is = || Value::Category(text.to_owned());
    match &feature.kind {
        Kind::Number { .. } | Kind::Integer { .. } => text.parse().map_or_else(|_| as_is(), Value::Number),
        Kind::Boolean => match text {
            "1" => Value::Boolean(true),
            "0" => Value::Boolean(false),
            _ if text.eq_ignore_ascii_case("true") => Value::Boolean(true),
            _ if text.eq_ignore_ascii_case("false") => Value::Boolean(false),
            _ => as_is(),
        },
        Kind::Category { .. } => as_is(),
    }
}
