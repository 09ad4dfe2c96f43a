//! XGBoost, as saved by `save_model` in JSON or UBJSON by versions 1.7 to 3.x: gbtree, dart and
//! gblinear with a logistic objective.
//!
//! What is easy to get wrong, and is done here as the library does it: `base_score` is a probability
//! for objectives that give one, and becomes a margin by the C library's `logf`; thresholds and leaves are
//! f32; the categories that a split lists go right; a model that was stopped early holds more trees
//! than it is meant to use; node numbers say nothing about their order.

mod document;
mod logf;
mod trees;
mod ubjson;

use super::{
    Agreement, Column, ColumnKind, ImportError, Imported, Iterations, MAX_MODEL_BYTES, Options, unique,
};
use crate::bundle::{Calibration, Estimator, TreeArithmetic, TreeEnsemble};
use document::{Booster, Cats, Encoding, Learner, Model, Number};
use std::collections::BTreeMap;
use trees::Seen;

/// What any bundle accepts.
const MAX_FEATURES: usize = 500;
const MAX_TREES: usize = 5000;
const MAX_OPTIONS: usize = 1000;

/// Reads a model that XGBoost's `save_model` wrote, as JSON or UBJSON.
///
/// # Errors
/// [`ImportError`] names what is wrong or not supported, and what to do about it.
///
/// ```
/// use vereda_scoring::import::{ImportError, Options, xgboost};
/// let error = xgboost::read(b"binf...", &Options::default()).unwrap_err();
/// assert!(matches!(error, ImportError::Syntax { .. }));
/// ```
pub fn read(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    if bytes.len() > MAX_MODEL_BYTES {
        return Err(ImportError::TooLarge {
            place: "the model file".to_owned(),
            what: "bytes",
            found: bytes.len(),
            limit: MAX_MODEL_BYTES,
            mend: "fewer or shallower trees make it smaller",
        });
    }
    let document = document::parse(bytes)?;
    let library = version(&document.version)?;
    let learner = document.learner;
    one_output(&learner)?;
    let base = base_margin(&learner)?;
    let features = features(&learner)?;
    let mut notes = Vec::new();
    let best = best_iteration(&learner, options)?;
    let parts = match learner.gradient_booster.name.as_str() {
        "gblinear" => linear(&learner, base, features, best, &mut notes)?,
        "gbtree" | "dart" => ensemble(&learner, base, features, best, options, &mut notes)?,
        other => {
            return Err(ImportError::unsupported(
                format!("the booster {other}"),
                "only gbtree, dart and gblinear are known",
                "train with one of these",
            ));
        }
    };
    let (estimator, columns) = parts;
    Ok(Imported {
        library,
        estimator,
        calibration: Calibration::None,
        columns,
        agreement: Agreement::Bits,
        notes,
    })
}

/// `XGBoost 3.2.0`.
fn version(version: &[u32]) -> Result<String, ImportError> {
    let [major, minor, ..] = version else {
        return Err(ImportError::shape(
            "version",
            "it does not say which version of XGBoost saved the model",
        ));
    };
    let words: Vec<String> = version.iter().take(3).map(ToString::to_string).collect();
    let words = words.join(".");
    if (*major, *minor) < (1, 7) || *major > 3 {
        return Err(ImportError::unsupported(
            format!("a model saved by XGBoost {words}"),
            "models saved by 1.7 to 3.x are known",
            "load it in one of these and save it again",
        ));
    }
    Ok(format!("XGBoost {words}"))
}

/// A count that XGBoost writes as a text; absent is 0.
fn count(text: &str, place: &str) -> Result<u64, ImportError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| ImportError::shape(place, format!("{text:?} is not a count")))
}

/// Whether the model says one thing about an applicant, and that is the probability of one event.
fn one_output(learner: &Learner) -> Result<(), ImportError> {
    let classes = count(&learner.learner_model_param.num_class, "learner.learner_model_param.num_class")?;
    if classes > 1 {
        return Err(ImportError::unsupported(
            format!("a model with {classes} classes (objective {})", learner.objective.name),
            "a PD model tells two outcomes apart",
            "train with objective=binary:logistic on default or no default",
        ));
    }
    let targets = count(&learner.learner_model_param.num_target, "learner.learner_model_param.num_target")?;
    if targets > 1 {
        return Err(ImportError::unsupported(
            format!("a model with {targets} targets"),
            "a PD model has one",
            "train one model for each target",
        ));
    }
    match learner.objective.name.as_str() {
        "binary:logistic" | "binary:logitraw" | "reg:logistic" => Ok(()),
        other => Err(ImportError::unsupported(
            format!("the objective {other}"),
            "its margin is not the log-odds of a probability",
            "train with objective=binary:logistic",
        )),
    }
}

/// `base_score` as the margin before any tree.
fn base_margin(learner: &Learner) -> Result<f32, ImportError> {
    let place = "learner.learner_model_param.base_score";
    let text = learner.learner_model_param.base_score.trim();
    // Between brackets since 3.1, where it may hold one number for each target.
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).trim();
    if inner.contains(',') {
        return Err(ImportError::unsupported(
            "a model with a base_score for each of several targets",
            "a PD model has one target",
            "train one model for each target",
        ));
    }
    let score: f32 = inner
        .parse()
        .ok()
        .filter(|score: &f32| score.is_finite())
        .ok_or_else(|| ImportError::shape(place, format!("{text:?} is not a number")))?;
    // The objective that gives margins takes its base as one.
    if learner.objective.name == "binary:logitraw" {
        return Ok(score);
    }
    if !(score > 0.0 && score < 1.0) {
        return Err(ImportError::shape(place, format!("{score} is not a probability between 0 and 1")));
    }
    Ok(-logf::logf(1.0 / score - 1.0))
}

/// How many features the model has.
fn features(learner: &Learner) -> Result<usize, ImportError> {
    let place = "learner.learner_model_param.num_feature";
    let found = count(&learner.learner_model_param.num_feature, place)?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found > MAX_FEATURES {
        return Err(ImportError::TooLarge {
            place: place.to_owned(),
            what: "features",
            found,
            limit: MAX_FEATURES,
            mend: "nobody answers so many questions: train with fewer",
        });
    }
    for (length, name) in
        [(learner.feature_names.len(), "feature_names"), (learner.feature_types.len(), "feature_types")]
    {
        if length != 0 && length != found {
            return Err(ImportError::shape(
                format!("learner.{name}"),
                format!("it has {length} elements and the model has {found} features"),
            ));
        }
    }
    if found == 0 {
        return Err(ImportError::shape(place, "the model has no features"));
    }
    Ok(found)
}

/// The number of iterations to keep, where early stopping said one and nobody asked for all.
fn best_iteration(learner: &Learner, options: &Options) -> Result<Option<usize>, ImportError> {
    let Some(text) = learner.attributes.get("best_iteration") else { return Ok(None) };
    if options.iterations == Iterations::All {
        return Ok(None);
    }
    let best: usize = text.parse().map_err(|_| {
        ImportError::shape("learner.attributes.best_iteration", format!("{text:?} is not a count"))
    })?;
    Ok(best.checked_add(1))
}

fn names(learner: &Learner, features: usize) -> Vec<String> {
    if learner.feature_names.is_empty() {
        return (0..features).map(|i| format!("f{i}")).collect();
    }
    learner.feature_names.clone()
}

/// gblinear: one weight per feature, then the bias. The library adds the bias to the base first.
fn linear(
    learner: &Learner,
    base: f32,
    features: usize,
    best: Option<usize>,
    notes: &mut Vec<String>,
) -> Result<(Estimator, Vec<Column>), ImportError> {
    let place = "learner.gradient_booster.model.weights";
    let weights = learner.gradient_booster.model.as_ref().and_then(|model| model.weights.as_ref());
    let weights = weights.ok_or_else(|| ImportError::shape(place, "it is absent"))?;
    if weights.len() != features + 1 {
        return Err(ImportError::shape(
            place,
            format!(
                "it has {} numbers, and {features} features and a bias need {}",
                weights.len(),
                features + 1
            ),
        ));
    }
    if let Some(bad) = weights.iter().find(|weight| !weight.is_finite()) {
        return Err(ImportError::shape(place, format!("{bad} is no finite weight")));
    }
    if learner.feature_types.iter().any(|kind| kind == "c") {
        return Err(ImportError::unsupported(
            "gblinear over categories",
            "it would multiply a category's number by a weight",
            "encode categories as columns of 0 and 1",
        ));
    }
    if best.is_some() {
        notes.push(
            "gblinear keeps the weights of its last iteration only: best_iteration changes nothing"
                .to_owned(),
        );
    }
    let bias = weights.last().copied().unwrap_or_default();
    let columns = columns(learner, features, &BTreeMap::new(), None, &Options::default())?;
    // A weight of 0 adds nothing: the feature is asked and not scored.
    let weights = columns
        .iter()
        .zip(weights)
        .filter(|(_, weight)| **weight != 0.0)
        .map(|(column, weight)| (column.name.clone(), f64::from(*weight)))
        .collect();
    Ok((Estimator::Linear { base_margin: f64::from(bias + base), weights }, columns))
}

/// gbtree and dart.
fn ensemble(
    learner: &Learner,
    base: f32,
    features: usize,
    best: Option<usize>,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<(Estimator, Vec<Column>), ImportError> {
    let (model, weights, place) = model_of(&learner.gradient_booster)?;
    let raw =
        model.trees.as_deref().ok_or_else(|| ImportError::shape(format!("{place}.trees"), "it is absent"))?;
    let parameters = model.gbtree_model_param.as_ref();
    let leaf = parameters.map_or("", |parameters| parameters.size_leaf_vector.as_str());
    if !matches!(leaf, "" | "0" | "1") {
        return Err(ImportError::unsupported(
            format!("a model with vector leaves (size_leaf_vector {leaf})"),
            "a PD is one number per applicant",
            "train with multi_strategy=one_output_per_tree and one target",
        ));
    }
    if let Some(info) = &model.tree_info {
        if info.len() != raw.len() {
            return Err(ImportError::shape(
                format!("{place}.tree_info"),
                format!("it has {} elements and there are {} trees", info.len(), raw.len()),
            ));
        }
        if let Some(group) = info.iter().find(|group| **group != 0) {
            return Err(ImportError::unsupported(
                format!("a model with trees for output {group}"),
                "a PD model has one output",
                "train with objective=binary:logistic on default or no default",
            ));
        }
    }
    if let Some(weights) = weights
        && weights.len() != raw.len()
    {
        return Err(ImportError::shape(
            format!("{place}.weight_drop"),
            format!("it has {} elements and there are {} trees", weights.len(), raw.len()),
        ));
    }
    let kept = kept(model, raw.len(), best, &place, notes)?;
    if kept == 0 || kept > MAX_TREES {
        return Err(ImportError::TooLarge {
            place: format!("{place}.trees"),
            what: "trees",
            found: kept,
            limit: MAX_TREES,
            mend: "a model needs at least one tree, and a phone has no use for more than thousands: train again",
        });
    }
    let (mut seen, mut invented) = (BTreeMap::new(), 0);
    let mut trees = Vec::with_capacity(kept);
    for (t, raw) in raw.iter().take(kept).enumerate() {
        let weight = weights.and_then(|weights| weights.get(t)).copied();
        let here = format!("{place}.trees[{t}]");
        let tree = trees::tree(raw, weight, &here, features, &mut seen, &mut invented)?;
        // A dropped tree adds nothing, and a bundle holds no tree that counts for nothing.
        if weight != Some(0.0) {
            trees.push(tree);
        }
    }
    if invented > 0 {
        notes.push(format!(
            "{invented} nodes that no training row reached were given a vanishing weight, for explanations"
        ));
    }
    let columns = columns(learner, features, &seen, model.cats.as_ref(), options)?;
    notes.extend(damaged(&columns, model.cats.as_ref(), options));
    let ensemble = TreeEnsemble::new(TreeArithmetic::Xgboost, f64::from(base), &trees);
    Ok((Estimator::TreeEnsemble(ensemble), columns))
}

/// Where the trees are and, for dart, what they are multiplied by. Up to 3.2 dart's weights stand
/// beside a gbtree, later inside the model.
fn model_of(booster: &Booster) -> Result<(&Model, Option<&Vec<f32>>, String), ImportError> {
    let place = "learner.gradient_booster";
    let (model, place) = match (&booster.model, &booster.gbtree) {
        (Some(model), None) => (model, format!("{place}.model")),
        (None, Some(inner)) => match &inner.model {
            Some(model) => (model, format!("{place}.gbtree.model")),
            None => return Err(ImportError::shape(format!("{place}.gbtree.model"), "it is absent")),
        },
        _ => return Err(ImportError::shape(format!("{place}.model"), "there must be exactly one model")),
    };
    let weights = booster.weight_drop.as_ref().or(model.weight_drop.as_ref());
    if booster.name == "dart" && weights.is_none() {
        return Err(ImportError::shape(format!("{place}.weight_drop"), "dart's weights are absent"));
    }
    if booster.name != "dart" && weights.is_some() {
        return Err(ImportError::shape(format!("{place}.weight_drop"), "only dart has weights"));
    }
    Ok((model, weights, place))
}

/// How many trees count.
fn kept(
    model: &Model,
    trees: usize,
    best: Option<usize>,
    place: &str,
    notes: &mut Vec<String>,
) -> Result<usize, ImportError> {
    let Some(best) = best else { return Ok(trees) };
    let parallel = model.gbtree_model_param.as_ref().map_or("", |p| p.num_parallel_tree.as_str());
    let parallel = count(parallel, &format!("{place}.gbtree_model_param.num_parallel_tree"))?.max(1);
    let parallel = usize::try_from(parallel).unwrap_or(usize::MAX);
    let (kept, iterations) = match &model.iteration_indptr {
        Some(ends) => {
            let end = ends.get(best).or(ends.last()).copied().unwrap_or_default();
            let end = usize::try_from(end).ok().filter(|&end| end <= trees).ok_or_else(|| {
                ImportError::shape(format!("{place}.iteration_indptr"), format!("{end} is no count of trees"))
            })?;
            (end, ends.len().saturating_sub(1))
        }
        None => (best.saturating_mul(parallel).min(trees), trees.div_ceil(parallel)),
    };
    if kept < trees {
        notes.push(format!(
            "training was stopped early: iterations 0 to {} of {iterations} are kept ({kept} of {trees} trees), \
             as scikit-learn's wrapper predicts; --iterations all keeps every tree, as Booster.predict does",
            best.saturating_sub(1)
        ));
    }
    Ok(kept)
}

/// Says which categories the model names in letters that XGBoost does not save faithfully.
fn damaged(columns: &[Column], cats: Option<&Cats>, options: &Options) -> Vec<String> {
    let Some(cats) = cats else { return Vec::new() };
    let unnamed = columns.iter().zip(&cats.enc).filter(|(column, encoding)| {
        encoding.offsets.is_some()
            && !encoding.values.is_empty()
            && matches!(column.kind, ColumnKind::Category { named: false, .. })
            && !options.categories.contains_key(&column.column)
    });
    unnamed
        .map(|(column, _)| {
            format!(
                "XGBoost does not save category names with letters beyond ASCII faithfully: the options of \
                 {:?} are numbered; name them in a schema, in the order of the training data's categories",
                column.column
            )
        })
        .collect()
}

/// What the model knows about its columns.
fn columns(
    learner: &Learner,
    features: usize,
    seen: &BTreeMap<usize, Seen>,
    cats: Option<&Cats>,
    options: &Options,
) -> Result<Vec<Column>, ImportError> {
    let names = names(learner, features);
    let mut columns = Vec::with_capacity(features);
    for (index, name) in names.iter().enumerate() {
        let seen = seen.get(&index).cloned().unwrap_or_default();
        let place = format!("feature {name:?}");
        let kind = learner.feature_types.get(index).map_or("", String::as_str);
        let encoding = cats.and_then(|cats| cats.enc.get(index));
        let saved = encoding.map_or(0, Encoding::len);
        let trained = cats.map_or(Ok(None), |cats| categories(cats, index))?;
        let categorical = kind == "c" || seen.largest_code.is_some() || saved > 0;
        if categorical && seen.compared.is_some() {
            return Err(ImportError::shape(place, "it is a category in some trees and a number in others"));
        }
        let compared = seen.compared;
        let kind = if categorical {
            let mentioned =
                usize::try_from(seen.largest_code.unwrap_or(-1)).map_or(0, |code| code + 1).max(saved);
            category(&place, name, trained, mentioned, options)?
        } else {
            match kind {
                "int" => ColumnKind::Integer { compared },
                "i" => ColumnKind::Boolean,
                "" | "q" | "float" => ColumnKind::Number { compared },
                other => {
                    return Err(ImportError::unsupported(
                        format!("a feature of type {other:?} ({name})"),
                        "the types q, float, int, i and c are known",
                        "train with one of these",
                    ));
                }
            }
        };
        columns.push(Column::named(name, kind, true));
    }
    Ok(unique(columns))
}

/// The options of a category: the model's own, or those given, or as many as the trees mention.
fn category(
    place: &str,
    name: &str,
    trained: Option<Vec<String>>,
    mentioned: usize,
    options: &Options,
) -> Result<ColumnKind, ImportError> {
    let too_many = |found: usize| ImportError::TooLarge {
        place: place.to_owned(),
        what: "options",
        found,
        limit: MAX_OPTIONS,
        mend: "nobody chooses among so many: group them",
    };
    let (list, named) = match (trained, options.categories.get(name)) {
        (Some(trained), _) => (trained, true),
        (None, Some(given)) => (given.clone(), false),
        (None, None) if mentioned > MAX_OPTIONS => return Err(too_many(mentioned)),
        (None, None) => ((0..mentioned.max(1)).map(|code| code.to_string()).collect(), false),
    };
    if list.len() > MAX_OPTIONS {
        return Err(too_many(list.len()));
    }
    if list.len() < mentioned {
        return Err(ImportError::mismatch(
            place,
            format!(
                "{} options are given, and the model tells the codes 0 to {} apart",
                list.len(),
                mentioned - 1
            ),
            "name every code from 0 on, in order",
        ));
    }
    Ok(ColumnKind::Category { options: list, named, unseen: crate::bundle::Unseen::Refuse })
}

/// The names of a feature's categories, if the model holds them whole.
fn categories(cats: &Cats, index: usize) -> Result<Option<Vec<String>>, ImportError> {
    let place = || format!("learner.gradient_booster.model.cats.enc[{index}]");
    let Some(encoding) = cats.enc.get(index) else { return Ok(None) };
    let mut names = Vec::new();
    match &encoding.offsets {
        // Numbers are their own names.
        None => {
            for value in &encoding.values {
                names.push(match value {
                    Number::Whole(whole) => whole.to_string(),
                    Number::Real(real) => real.to_string(),
                });
            }
        }
        Some(offsets) => {
            let bytes: Option<Vec<u8>> = encoding
                .values
                .iter()
                .map(|value| match value {
                    // Written as signed bytes.
                    Number::Whole(byte) if (-128..=255).contains(byte) => Some((*byte & 0xff) as u8),
                    _ => None,
                })
                .collect();
            let bytes = bytes.ok_or_else(|| ImportError::shape(place(), "a value is not a byte"))?;
            // XGBoost counts a text's characters where it should count bytes, unless the texts came
            // from Arrow: names that are not ASCII may be cut and shifted, and nothing tells.
            if !bytes.is_ascii() {
                return Ok(None);
            }
            let mut end_before = 0;
            for pair in offsets.windows(2) {
                let [start, end] = pair else { continue };
                let range = usize::try_from(*start).ok().zip(usize::try_from(*end).ok());
                let text = range
                    // Ascending: overlapping texts would make a small file claim any amount of memory.
                    .filter(|(start, _)| *start >= end_before)
                    .and_then(|(start, end)| bytes.get(start..end))
                    .ok_or_else(|| {
                        ImportError::shape(place(), format!("{start} to {end} is no text in it"))
                    })?;
                end_before = range.map_or(0, |(_, end)| end);
                let text = std::str::from_utf8(text)
                    .map_err(|_| ImportError::shape(place(), "a category's name is not UTF-8"))?;
                names.push(text.to_owned());
            }
        }
    }
    let segment = |at: usize| cats.feature_segments.get(at).copied();
    if let (Some(start), Some(end)) = (segment(index), segment(index + 1))
        && end.checked_sub(start) != i64::try_from(names.len()).ok()
    {
        return Err(ImportError::shape(
            place(),
            format!("it has {} categories, not {end} - {start}", names.len()),
        ));
    }
    Ok(if names.is_empty() { None } else { Some(names) })
}
