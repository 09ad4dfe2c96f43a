//! Tables: one row per bin.

use super::super::{ImportError, Imported};
use super::bins::{Comma, assemble, parts};
use super::{Bins, imported};
use crate::bundle::Points;
use std::collections::BTreeMap;

const FORMAT: &str = "a scorecard table";
const MEND: &str = "docs/models/scorecards.md shows the columns";

/// The columns that are known, each with the names that tools give it.
const FEATURE: &[&str] = &["feature", "variable", "name", "characteristic"];
const BIN: &[&str] = &["bin", "attribute", "value"];
const WOE: &[&str] = &["woe"];
const COEFFICIENT: &[&str] = &["coefficient", "coef", "beta"];
const POINTS: &[&str] = &["points", "score"];

/// One row.
struct Row {
    bin: String,
    woe: Option<f64>,
    coefficient: Option<f64>,
    points: Option<f64>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Imported, ImportError> {
    let syntax = |problem: String| ImportError::Syntax { format: FORMAT, problem, mend: MEND };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| syntax(format!("it is not UTF-8 text at byte {}", error.valid_up_to())))?;
    let header =
        text.lines().find(|line| !line.starts_with('#') && !line.trim().is_empty()).unwrap_or_default();
    let semicolons = header.contains(';') && !header.contains(',');
    let settings = settings(text, semicolons)?;
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(if semicolons { b';' } else { b',' })
        .comment(Some(b'#'))
        .trim(::csv::Trim::All)
        .from_reader(bytes);
    let names = reader.headers().map_err(|error| syntax(error.to_string()))?.clone();
    // toad's header, whatever its case; only toad puts commas between the texts of a group.
    let toad = names.iter().map(str::to_ascii_lowercase).eq(["name", "value", "score"]);
    let comma = if toad { Comma::Joins } else { Comma::Unclear };
    let find =
        |wanted: &[&str]| names.iter().position(|name| wanted.iter().any(|w| name.eq_ignore_ascii_case(w)));
    let (Some(feature), Some(bin)) = (find(FEATURE), find(BIN)) else {
        return Err(syntax("the header has no columns feature and bin".to_owned()));
    };
    let (woe, coefficient, points) = (find(WOE), find(COEFFICIENT), find(POINTS));
    if !(woe.is_some() && coefficient.is_some() || points.is_some()) {
        return Err(syntax("the header has neither woe and coefficient nor points".to_owned()));
    }
    let mut order: Vec<String> = Vec::new();
    let mut features: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut base: Option<Row> = None;
    for record in reader.records() {
        let record = record.map_err(|error| syntax(error.to_string()))?;
        let line = record.position().map_or(0, ::csv::Position::line);
        let number = |column: Option<usize>, name: &str| -> Result<Option<f64>, ImportError> {
            let cell = column.and_then(|column| record.get(column)).unwrap_or_default();
            if cell.is_empty() {
                return Ok(None);
            }
            match parse(cell, semicolons) {
                Some(x) => Ok(Some(x)),
                None => Err(ImportError::shape(
                    format!("line {line}: {name}"),
                    format!("{cell:?} is not a number"),
                )),
            }
        };
        let row = Row {
            bin: record.get(bin).unwrap_or_default().to_owned(),
            woe: number(woe, "woe")?,
            coefficient: number(coefficient, "coefficient")?,
            points: number(points, "points")?,
        };
        let name = record.get(feature).unwrap_or_default().to_owned();
        if ["basepoints", "base points", "intercept", "(intercept)"]
            .iter()
            .any(|n| name.eq_ignore_ascii_case(n))
        {
            if base.replace(row).is_some() {
                return Err(ImportError::shape(format!("line {line}"), "gives the intercept a second time"));
            }
            continue;
        }
        if name.is_empty() || row.bin.is_empty() {
            return Err(ImportError::shape(format!("line {line}"), "has no feature or no bin"));
        }
        let rows = features.entry(name.clone()).or_insert_with(|| {
            order.push(name);
            Vec::new()
        });
        rows.push(row);
    }
    let scale = scale(&settings)?;
    let by_woe = woe.is_some() && coefficient.is_some();
    let mut notes = Vec::new();
    let intercept = if by_woe {
        if points.is_some() {
            notes.push("the points were not read: the coefficients and the WoE say what they are".to_owned());
        }
        let row = base.as_ref().and_then(|row| row.coefficient);
        row.or(settings.get("intercept").copied()).ok_or_else(|| {
            syntax("there is no intercept: a line `# intercept = ...`, or a row `intercept` with its coefficient".to_owned())
        })?
    } else {
        let scale = scale.ok_or_else(|| ImportError::Unsupported {
            what: "a table of points without its scaling".to_owned(),
            why: "the same points mean another risk with every scaling",
            mend: "begin the file with `# pdo = 50`, `# base_points = 600` and `# base_odds = 20` (good : bad)",
        })?;
        // points = base_points - factor x (margin + ln base_odds), and the points are a sum.
        let constant = base.as_ref().and_then(|row| row.points).unwrap_or(0.0);
        (scale.base_points - constant) / factor(&scale) - libm::log(scale.base_odds)
    };
    let mut assembled = Vec::with_capacity(order.len());
    for name in order {
        let rows = features.remove(&name).unwrap_or_default();
        assembled.push(one_feature(name, rows, comma, by_woe, scale.as_ref())?);
    }
    imported("a scorecard table".to_owned(), intercept, assembled, scale, notes)
}

/// Points of one unit of log-odds.
fn factor(points: &Points) -> f64 {
    points.pdo / std::f64::consts::LN_2
}

fn one_feature(
    name: String,
    rows: Vec<Row>,
    comma: Comma,
    by_woe: bool,
    scale: Option<&Points>,
) -> Result<Bins, ImportError> {
    let place = || format!("feature {name}");
    let mut coefficient = None;
    let mut parted = Vec::with_capacity(rows.len());
    for row in rows {
        let absent = |what: &str| ImportError::shape(place(), format!("the bin {:?} has no {what}", row.bin));
        let woe = if by_woe {
            match (coefficient, row.coefficient) {
                (None, given) => coefficient = given,
                (Some(a), Some(b)) if a != b => {
                    return Err(ImportError::shape(place(), "has bins with different coefficients"));
                }
                _ => {}
            }
            row.woe.ok_or_else(|| absent("WoE"))?
        } else {
            // Of a table of points nobody knows the WoE: this is its product with the coefficient.
            -row.points.ok_or_else(|| absent("points"))? / scale.map_or(f64::NAN, factor)
        };
        let parts = parts(&row.bin, comma).map_err(|problem| ImportError::shape(place(), problem))?;
        parted.push((parts, woe));
    }
    let coefficient = if by_woe {
        coefficient.ok_or_else(|| ImportError::shape(place(), "has no coefficient"))?
    } else {
        1.0
    };
    let assembled = assemble(&name, parted)?;
    Ok(Bins {
        coefficient,
        closed: assembled.closed,
        bins: assembled.bins,
        missing_woe: assembled.missing,
        unseen_woe: assembled.unseen,
        name,
    })
}

/// A number; with semicolons between cells, its decimals may stand behind a comma.
fn parse(cell: &str, comma: bool) -> Option<f64> {
    let parsed = if comma { cell.replace(',', ".").parse() } else { cell.parse() };
    parsed.ok().filter(|x: &f64| x.is_finite())
}

/// The lines `# key = number`.
fn settings(text: &str, comma: bool) -> Result<BTreeMap<&'static str, f64>, ImportError> {
    let mut settings = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let Some((key, value)) = line.strip_prefix('#').and_then(|line| line.split_once('=')) else {
            continue;
        };
        let key = key.trim();
        let known = ["pdo", "base_points", "base_odds", "intercept"];
        let Some(known) = known.into_iter().find(|known| known.eq_ignore_ascii_case(key)) else { continue };
        let place = || format!("line {}: {known}", number + 1);
        let value = parse(value.trim(), comma)
            .ok_or_else(|| ImportError::shape(place(), format!("{value:?} is not a number")))?;
        if settings.insert(known, value).is_some() {
            return Err(ImportError::shape(place(), "is given a second time"));
        }
    }
    Ok(settings)
}

/// The scaling, all of it or none.
fn scale(settings: &BTreeMap<&'static str, f64>) -> Result<Option<Points>, ImportError> {
    let get = |key: &str| settings.get(key).copied();
    match (get("pdo"), get("base_points"), get("base_odds")) {
        (None, None, None) => Ok(None),
        (Some(pdo), Some(base_points), Some(base_odds)) if pdo > 0.0 && base_odds > 0.0 => {
            Ok(Some(Points { base_points, base_odds, pdo }))
        }
        _ => Err(ImportError::shape(
            "pdo, base_points, base_odds",
            "must all be given, pdo and base_odds above 0",
        )),
    }
}
