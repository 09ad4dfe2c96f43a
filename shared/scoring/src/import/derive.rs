//! From a model's columns to a schema, and from the model's order to the schema's.

use super::{Column, ColumnKind, ImportError, Imported};
use crate::bundle::{CategoryOption, Estimator, Feature, Kind, Node, Schema, Section, Text, Transform, Unit};
use std::collections::{BTreeMap, BTreeSet};

/// What every derived text begins with: nobody has written it yet.
pub const PLACEHOLDER: Mark = Mark { es: "EDITAR: ", en: "EDIT: " };

/// A mark in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Spanish.
    pub es: &'static str,
    /// English.
    pub en: &'static str,
}

impl Mark {
    /// A derived text: marked, so that nobody takes it for one that was written.
    pub fn mark(&self, words: &str) -> Text {
        Text { es: format!("{}{words}", self.es), en: format!("{}{words}", self.en) }
    }

    /// Whether a text is still a derived one.
    pub fn marks(&self, text: &Text) -> bool {
        text.es.starts_with(self.es) || text.en.starts_with(self.en)
    }
}

/// Where a column of the model stands in a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// [`Column::column`].
    pub column: String,
    /// The [`Feature::name`] that answers it.
    pub feature: String,
}

/// A bundle name from any text: lower-case words joined by `_`, beginning with a letter.
pub(super) fn name(column: &str) -> String {
    let mut name = String::new();
    for c in column.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            if name.is_empty() && c.is_ascii_digit() {
                name.push_str("f_");
            }
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        if name.len() >= 60 {
            break;
        }
    }
    let name = name.trim_end_matches('_');
    if name.is_empty() { "f".to_owned() } else { name.to_owned() }
}

/// How far a derived range reaches where the model sets no limit: a billion, or ten times the
/// largest number the model compares with, whichever is more.
fn reach(compared: Option<(f64, f64)>) -> f64 {
    let largest = compared.map_or(0.0, |(low, high)| low.abs().max(high.abs()));
    if largest * 10.0 > 1e9 && (largest * 10.0).is_finite() { largest * 10.0 } else { 1e9 }
}

impl Imported {
    /// The schema that the model itself implies: its columns in its order, in one section, with
    /// marked texts, and ranges wide enough for everything that the model tells apart. It is to be
    /// edited before anybody is asked anything.
    pub fn schema(&self) -> Schema {
        let steepest = self.steepest();
        let columns = self.columns.iter().zip(0..);
        let features = columns.map(|(column, index)| self.feature(column, index, &steepest)).collect();
        Schema {
            currency: "XXX".to_owned(),
            sections: vec![Section { id: "all".to_owned(), label: PLACEHOLDER.mark("all") }],
            features,
        }
    }

    /// For each number that is multiplied, in leaves or terms, the largest coefficient, times the number of those
    /// that may add up: half of the largest part of a margin is left for them, as a range is derived.
    fn steepest(&self) -> BTreeMap<u32, f64> {
        let mut steepest = BTreeMap::new();
        if let Estimator::Logistic { terms, .. } = &self.estimator {
            for (index, column) in (0..).zip(&self.columns) {
                for term in terms.iter().filter(|term| term.feature == column.name) {
                    if let Transform::Standardised { coefficient, scale, .. } = term.transform {
                        steepest.insert(index, (coefficient / scale).abs());
                    }
                }
            }
        }
        let Estimator::TreeEnsemble(ensemble) = &self.estimator else { return steepest };
        for node in ensemble.trees().flat_map(|tree| tree.nodes) {
            let Node::Leaf { linear: Some(leaf), .. } = node else { continue };
            for (feature, coefficient) in &leaf.terms {
                let of: &mut f64 = steepest.entry(*feature).or_insert(0.0);
                *of = of.max(coefficient.abs() * leaf.terms.len() as f64);
            }
        }
        steepest
    }

    fn feature(&self, column: &Column, index: u32, steepest: &BTreeMap<u32, f64>) -> Feature {
        let label = |words: &str| PLACEHOLDER.mark(&super::error::printable(words));
        let reach = |compared: Option<(f64, f64)>| {
            let mut reach = reach(compared);
            if let Estimator::Linear { weights, .. } = &self.estimator {
                // A part of a margin is at most 10^6: a larger weight allows less far a reach.
                let weight = weights.get(&column.name).copied().unwrap_or(0.0).abs();
                while weight * reach > 1e6 && reach > 1e-300 {
                    reach /= 10.0;
                }
            }
            steepest.get(&index).map_or(reach, |steepest| reach.min(5e5 / steepest))
        };
        let kind = match &column.kind {
            ColumnKind::Number { compared } => {
                let reach = reach(*compared);
                Kind::Number { min: -reach, max: reach, unit: Unit::None }
            }
            ColumnKind::Integer { compared } => {
                let reach = reach(*compared).clamp(1.0, (1i64 << 53) as f64) as i64;
                Kind::Integer { min: -reach, max: reach, unit: Unit::None }
            }
            ColumnKind::Boolean => Kind::Boolean,
            ColumnKind::Category { options, unseen, .. } => Kind::Category {
                options: options
                    .iter()
                    .map(|code| CategoryOption { code: code.clone(), label: label(code) })
                    .collect(),
                unseen: *unseen,
            },
        };
        Feature {
            name: column.name.clone(),
            kind,
            missing_allowed: column.missing,
            label: label(&column.column),
            help: Text::default(),
            section: "all".to_owned(),
            adjustable: false,
        }
    }

    /// Where each column stands in the derived schema.
    pub fn placements(&self) -> Vec<Placement> {
        self.columns
            .iter()
            .map(|column| Placement { column: column.column.clone(), feature: column.name.clone() })
            .collect()
    }

    /// The estimator under another schema: renamed and renumbered. A column that the estimator does
    /// not use may be left out; every feature must be a column of the model.
    ///
    /// # Errors
    /// [`ImportError::Mismatch`] when a column that the estimator uses has no feature, a feature has
    /// no column, kinds differ, the options of a category are not those of the model, or the order
    /// of the features changes the order of an f32 sum.
    pub fn bind(&self, schema: &Schema, placements: &[Placement]) -> Result<Estimator, ImportError> {
        let mut renumber = BTreeMap::new();
        let mut rename = BTreeMap::new();
        let mut order = Vec::new();
        for (at, feature) in schema.features.iter().enumerate() {
            let here = || format!("feature {:?}", feature.name);
            let asks = placements
                .iter()
                .find(|p| p.feature == feature.name)
                .map_or(feature.name.as_str(), |p| p.column.as_str());
            let found = self.columns.iter().position(|column| column.column == asks);
            let Some((index, column)) = found.and_then(|i| Some((i, self.columns.get(i)?))) else {
                return Err(ImportError::mismatch(
                    here(),
                    format!("the model has no column {asks:?}"),
                    "name the model's column in `column`, or remove the feature",
                ));
            };
            if renumber.insert(index as u32, at as u32).is_some() {
                return Err(ImportError::mismatch(
                    here(),
                    format!("the column {asks:?} has a feature already"),
                    "one feature answers one column",
                ));
            }
            fits(column, feature).map_err(|(problem, mend)| ImportError::mismatch(here(), problem, mend))?;
            rename.insert(column.name.clone(), feature.name.clone());
            order.push(index);
        }
        if let Estimator::Linear { .. } = self.estimator
            && order.windows(2).any(|pair| matches!(pair, [a, b] if a > b))
        {
            return Err(ImportError::mismatch(
                "schema",
                "the features are in another order than the model's columns, and this model adds them \
                 up in that order in f32",
                "put them in the model's order (sections may still group them)",
            ));
        }
        if let Some(index) = self.used().into_iter().find(|&index| !renumber.contains_key(&(index as u32))) {
            let column = self.columns.get(index).map_or("?", |column| column.column.as_str());
            return Err(ImportError::mismatch(
                "schema",
                format!("the model uses the column {column:?} and no feature answers it"),
                "add the feature: a model cannot be scored without what it uses",
            ));
        }
        Ok(moved(&self.estimator, &renumber, &rename))
    }

    /// Indices of the columns that the estimator uses.
    pub fn used(&self) -> BTreeSet<usize> {
        let position = |name: &str| self.columns.iter().position(|column| column.name == name);
        match &self.estimator {
            Estimator::Logistic { terms, .. } => {
                terms.iter().filter_map(|term| position(&term.feature)).collect()
            }
            Estimator::Linear { weights, .. } => weights.keys().filter_map(|name| position(name)).collect(),
            Estimator::TreeEnsemble(ensemble) => {
                ensemble.features().into_iter().map(|feature| feature as usize).collect()
            }
        }
    }
}

type Misfit = (String, &'static str);

fn fits(column: &Column, feature: &Feature) -> Result<(), Misfit> {
    match (&column.kind, &feature.kind) {
        (ColumnKind::Number { .. }, Kind::Number { .. } | Kind::Integer { .. } | Kind::Boolean)
        | (ColumnKind::Integer { .. }, Kind::Integer { .. } | Kind::Boolean)
        | (ColumnKind::Boolean, Kind::Boolean) => {}
        (ColumnKind::Category { options, named, .. }, Kind::Category { options: given, .. }) => {
            let given: Vec<&str> = given.iter().map(|option| option.code.as_str()).collect();
            if *named && given != options.iter().map(String::as_str).collect::<Vec<_>>() {
                return Err((
                    format!(
                        "its options are {} and the model's are {}",
                        given.join(", "),
                        options.join(", ")
                    ),
                    "give exactly the model's options, in its order: an option that it was not trained \
                     with has no meaning in it",
                ));
            }
            if given.len() < options.len() {
                return Err((
                    format!("it has {} options and the model tells {} apart", given.len(), options.len()),
                    "name every code from 0 on, in order",
                ));
            }
        }
        _ => {
            return Err((
                "the model has another kind of column here".to_owned(),
                "numbers may be asked as number, integer or boolean, integers as integer or boolean, \
                 categories as categories",
            ));
        }
    }
    if feature.missing_allowed && !column.missing {
        return Err((
            "it may be missing, and the model does not say what that means".to_owned(),
            "set missing_allowed = false",
        ));
    }
    Ok(())
}

/// The estimator with the features' new numbers and names; all that it uses have one.
fn moved(
    estimator: &Estimator,
    renumber: &BTreeMap<u32, u32>,
    rename: &BTreeMap<String, String>,
) -> Estimator {
    let name = |old: &String| rename.get(old).unwrap_or(old).clone();
    let mut estimator = estimator.clone();
    match &mut estimator {
        Estimator::TreeEnsemble(ensemble) => {
            ensemble.renumber(|old| renumber.get(&old).copied().unwrap_or(u32::MAX));
            ensemble.monotone =
                ensemble.monotone.iter().map(|(feature, way)| (name(feature), *way)).collect();
        }
        Estimator::Logistic { terms, .. } => {
            for term in terms {
                term.feature = name(&term.feature);
            }
        }
        Estimator::Linear { weights, .. } => {
            *weights = weights.iter().map(|(feature, weight)| (name(feature), *weight)).collect();
        }
    }
    estimator
}
