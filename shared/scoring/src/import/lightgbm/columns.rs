//! The columns of the model, and what their categories are called.

use super::super::{Column, ColumnKind, ImportError, Options, unique};
use super::text::Document;
use super::tree::{RawNode, RawTree, largest};
use crate::bundle::{Node, Unseen};

/// What a bundle may have: see docs/BUNDLE.md.
const MOST_OPTIONS: usize = 1000;

/// What the trees and the header say about one column.
#[derive(Debug, Clone, Default)]
struct Facts {
    /// Some split looks codes up, or the training data were codes.
    category: bool,
    /// Some split compares numbers.
    number: bool,
    /// Largest code that is mentioned anywhere.
    largest: Option<usize>,
    /// Smallest and largest threshold or training value.
    range: Option<(f64, f64)>,
}

impl Facts {
    fn saw(&mut self, x: f64) {
        let (low, high) = self.range.unwrap_or((x, x));
        self.range = Some((low.min(x), high.max(x)));
    }

    fn saw_code(&mut self, code: usize) {
        self.largest = Some(self.largest.map_or(code, |largest| largest.max(code)));
    }
}

/// The columns, with the options of each category.
pub(super) fn read(
    document: &Document<'_>,
    trees: &[RawTree],
    count: usize,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Vec<Column>, ImportError> {
    let header = &document.header;
    let names: Vec<&str> = header.need("feature_names")?.split_ascii_whitespace().collect();
    let infos: Vec<&str> = header.need("feature_infos")?.split_ascii_whitespace().collect();
    for (key, list) in [("feature_names", &names), ("feature_infos", &infos)] {
        if list.len() != count {
            return Err(header.wrong(key, format!("has {} words for {count} columns", list.len())));
        }
    }
    let mut facts = vec![Facts::default(); count];
    for (facts, info) in facts.iter_mut().zip(&infos) {
        training_values(facts, info)
            .ok_or_else(|| header.wrong("feature_infos", format!("{info:?} is not known")))?;
    }
    for node in trees.iter().flat_map(|tree| &tree.nodes) {
        let (RawNode::Ready(Node::Split { feature, .. }) | RawNode::Set { feature, .. }) = node else {
            continue;
        };
        let Some(facts) = facts.get_mut(*feature as usize) else { continue };
        match node {
            RawNode::Set { left_codes, .. } => {
                facts.category = true;
                if let Some(code) = largest(left_codes) {
                    facts.saw_code(code);
                }
            }
            RawNode::Ready(Node::Split { threshold, .. }) => {
                facts.number = true;
                facts.saw(*threshold);
            }
            RawNode::Ready(_) => {}
        }
    }
    let declared = declared_categories(document, count);
    for index in &declared {
        if let Some(facts) = facts.get_mut(*index) {
            facts.category = true;
        }
    }
    let named = pandas_names(document, &facts, &declared)?;
    let mut columns = Vec::with_capacity(count);
    for ((index, name), facts) in names.iter().enumerate().zip(&facts) {
        if facts.category && facts.number {
            return Err(ImportError::shape(
                format!("column {name}"),
                "is compared as a number and looked up as a category",
            ));
        }
        let kind = if facts.category {
            let given = options.categories.get(*name).or_else(|| named.get(index).and_then(Option::as_ref));
            category(name, facts, given)?
        } else {
            ColumnKind::Number { compared: facts.range }
        };
        columns.push(Column::named(name, kind, true));
    }
    if columns.iter().any(|column| matches!(column.kind, ColumnKind::Category { named: false, .. })) {
        notes.push(
            "categories that the file does not name are numbered: their options are the codes from 0 on"
                .to_owned(),
        );
    }
    Ok(unique(columns))
}

/// How many options each column has; `None` for numbers.
pub(super) fn option_counts(columns: &[Column]) -> Vec<Option<usize>> {
    let count = |column: &Column| match &column.kind {
        ColumnKind::Category { options, .. } => Some(options.len()),
        _ => None,
    };
    columns.iter().map(count).collect()
}

/// `[min:max]` of a number, `3:1:-1` of codes (-1 is missing), `none` of a column that was left out.
fn training_values(facts: &mut Facts, info: &str) -> Option<()> {
    if info == "none" {
        return Some(());
    }
    if let Some(range) = info.strip_prefix('[').and_then(|info| info.strip_suffix(']')) {
        let (low, high) = range.split_once(':')?;
        for end in [low, high] {
            let end: f64 = end.parse().ok()?;
            if end.is_finite() {
                facts.saw(end);
            }
        }
        return Some(());
    }
    facts.category = true;
    for code in info.split(':') {
        let code: i64 = code.parse().ok()?;
        if let Ok(code) = usize::try_from(code) {
            facts.saw_code(code);
        }
    }
    Some(())
}

/// The columns that the training was told are categories, ascending. Names instead of numbers, and
/// what is no column, say nothing here: the splits do.
fn declared_categories(document: &Document<'_>, count: usize) -> Vec<usize> {
    let text = document.parameters.get("categorical_feature").copied().unwrap_or_default();
    let mut declared: Vec<usize> =
        text.split(',').filter_map(|word| word.trim().parse().ok()).filter(|index| *index < count).collect();
    declared.sort_unstable();
    declared.dedup();
    declared
}

/// The names behind `pandas_categorical:`, by column. The list names the categories and not the
/// columns, so it is used only where it fits one way: as many lists as categorical columns, in order.
fn pandas_names(
    document: &Document<'_>,
    facts: &[Facts],
    declared: &[usize],
) -> Result<Vec<Option<Vec<String>>>, ImportError> {
    let mut named = vec![None; facts.len()];
    let Some(json) = document.pandas_categorical.map(str::trim).filter(|json| !json.is_empty()) else {
        return Ok(named);
    };
    let lists: Option<Vec<Vec<serde_json::Value>>> = serde_json::from_str(json)
        .map_err(|error| ImportError::shape("pandas_categorical", error.to_string()))?;
    let lists = lists.unwrap_or_default();
    if lists.is_empty() {
        return Ok(named);
    }
    let categorical: Vec<usize> =
        facts.iter().enumerate().filter(|(_, facts)| facts.category).map(|(index, _)| index).collect();
    let fits = [declared, &categorical].into_iter().find(|columns| columns.len() == lists.len());
    let Some(columns) = fits else {
        return Err(ImportError::unsupported(
            format!(
                "pandas_categorical with {} lists for {} categorical columns",
                lists.len(),
                categorical.len()
            ),
            "the file does not say which list belongs to which column",
            "train with every categorical column as a pandas category, and none given by number as well",
        ));
    };
    for (index, list) in columns.iter().zip(lists) {
        let options = list.iter().map(option).collect::<Option<Vec<String>>>().ok_or_else(|| {
            ImportError::shape("pandas_categorical", "has a category that is neither text nor number")
        })?;
        if let Some(slot) = named.get_mut(*index) {
            *slot = Some(options);
        }
    }
    Ok(named)
}

/// A category as pandas writes it into a CSV file.
fn option(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(true) => Some("True".to_owned()),
        serde_json::Value::Bool(false) => Some("False".to_owned()),
        _ => None,
    }
}

fn category(name: &str, facts: &Facts, given: Option<&Vec<String>>) -> Result<ColumnKind, ImportError> {
    let mentioned = facts.largest.map_or(0, |largest| largest.saturating_add(1));
    let place = || format!("column {}", super::super::error::printable(name));
    let found = given.map_or(mentioned, Vec::len);
    if found > MOST_OPTIONS || mentioned > MOST_OPTIONS {
        return Err(ImportError::TooLarge {
            place: place(),
            what: "codes of a category",
            found: found.max(mentioned),
            limit: MOST_OPTIONS,
            mend: "number the categories from 0 without gaps, or group rare ones",
        });
    }
    match given {
        Some(options) if options.len() < mentioned => Err(ImportError::mismatch(
            place(),
            format!("it has {} options and the model mentions code {}", options.len(), mentioned - 1),
            "give the options in the order of the model's codes, all of them",
        )),
        Some(options) => {
            Ok(ColumnKind::Category { options: options.clone(), named: true, unseen: Unseen::Missing })
        }
        // A category without a code in the model needs one option all the same.
        None => Ok(ColumnKind::Category {
            options: (0..mentioned.max(1)).map(|code| code.to_string()).collect(),
            named: false,
            unseen: Unseen::Missing,
        }),
    }
}
