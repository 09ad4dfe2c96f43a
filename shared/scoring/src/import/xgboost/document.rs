//! The document that XGBoost saves, as far as it bears on predictions.
//!
//! Objects whose fields bear on predictions deny unknown fields: a field of a later version could
//! change what the others mean.

use super::super::{ImportError, error::printable};
use super::ubjson;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) learner: Learner,
    pub(super) version: Vec<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Learner {
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) feature_names: Vec<String>,
    #[serde(default)]
    pub(super) feature_types: Vec<String>,
    pub(super) gradient_booster: Booster,
    pub(super) learner_model_param: LearnerParameters,
    pub(super) objective: Objective,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LearnerParameters {
    pub(super) base_score: String,
    #[serde(default, rename = "boost_from_average")]
    _boost_from_average: IgnoredAny,
    #[serde(default)]
    pub(super) num_class: String,
    pub(super) num_feature: String,
    #[serde(default)]
    pub(super) num_target: String,
}

/// Its other fields are parameters of the training.
#[derive(Debug, Deserialize)]
pub(super) struct Objective {
    pub(super) name: String,
}

/// gbtree and gblinear hold a `model`; dart holds a gbtree.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Booster {
    pub(super) name: String,
    pub(super) model: Option<Model>,
    pub(super) gbtree: Option<Box<Booster>>,
    pub(super) weight_drop: Option<Vec<f32>>,
}

/// Of gbtree or of gblinear.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub(super) gbtree_model_param: Option<TreeCounts>,
    pub(super) trees: Option<Vec<RawTree>>,
    pub(super) tree_info: Option<Vec<i32>>,
    pub(super) iteration_indptr: Option<Vec<i64>>,
    pub(super) cats: Option<Cats>,
    pub(super) weight_drop: Option<Vec<f32>>,
    pub(super) weights: Option<Vec<f32>>,
    #[serde(default, rename = "boosted_rounds")]
    _boosted_rounds: IgnoredAny,
    #[serde(default, rename = "param")]
    _param: IgnoredAny,
}

#[derive(Debug, Deserialize)]
pub(super) struct TreeCounts {
    #[serde(default)]
    pub(super) num_parallel_tree: String,
    #[serde(default)]
    pub(super) size_leaf_vector: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTree {
    #[serde(default, rename = "base_weights")]
    _base_weights: IgnoredAny,
    #[serde(default)]
    pub(super) categories: Vec<i32>,
    #[serde(default)]
    pub(super) categories_nodes: Vec<i32>,
    #[serde(default)]
    pub(super) categories_segments: Vec<i64>,
    #[serde(default)]
    pub(super) categories_sizes: Vec<i64>,
    pub(super) default_left: Vec<Flag>,
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
    pub(super) left_children: Vec<i32>,
    #[serde(default, rename = "loss_changes")]
    _loss_changes: IgnoredAny,
    #[serde(default, rename = "parents")]
    _parents: IgnoredAny,
    pub(super) right_children: Vec<i32>,
    pub(super) split_conditions: Vec<Condition>,
    pub(super) split_indices: Vec<i64>,
    #[serde(default)]
    pub(super) split_type: Vec<u8>,
    pub(super) sum_hessian: Vec<f32>,
    pub(super) tree_param: TreeParameters,
}

#[derive(Debug, Deserialize)]
pub(super) struct TreeParameters {
    #[serde(default)]
    pub(super) size_leaf_vector: String,
}

/// A threshold or a leaf. Where a split is by category, what stands there means nothing, and may be
/// no number at all.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct Condition(Option<f32>);

impl Condition {
    /// NaN where there is none.
    pub(super) fn value(self) -> f32 {
        self.0.unwrap_or(f32::NAN)
    }
}

/// `true`, `false`, 1 or 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Flag;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false, 1 or 0")
            }
            fn visit_bool<E>(self, yes: bool) -> Result<Flag, E> {
                Ok(Flag(yes))
            }
            fn visit_i64<E: serde::de::Error>(self, x: i64) -> Result<Flag, E> {
                match x {
                    0 => Ok(Flag(false)),
                    1 => Ok(Flag(true)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Signed(x), &self)),
                }
            }
            fn visit_u64<E: serde::de::Error>(self, x: u64) -> Result<Flag, E> {
                self.visit_i64(i64::try_from(x).unwrap_or(-1))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The categories that the model was trained with, by feature (3.1 and later).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cats {
    #[serde(default)]
    pub(super) enc: Vec<Encoding>,
    #[serde(default)]
    pub(super) feature_segments: Vec<i64>,
    #[serde(default, rename = "sorted_idx")]
    _sorted_idx: IgnoredAny,
}

/// Texts as offsets into bytes, or numbers with the type of their array.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Encoding {
    pub(super) offsets: Option<Vec<i64>>,
    #[serde(default)]
    pub(super) values: Vec<Number>,
    #[serde(default, rename = "type")]
    _type: IgnoredAny,
}

impl Encoding {
    /// How many categories there are, whatever their names.
    pub(super) fn len(&self) -> usize {
        self.offsets.as_ref().map_or(self.values.len(), |offsets| offsets.len().saturating_sub(1))
    }
}

/// A category's value: a byte of a text, or a number as it is written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Whole(i64),
    Real(f64),
}

const JSON: &str = "an XGBoost model as JSON";
const UBJSON: &str = "an XGBoost model as UBJSON";
const SAVE: &str = "save it from XGBoost 1.7 or later with booster.save_model(\"model.json\"), and check that the whole file arrived";

/// Reads a document from JSON or UBJSON, told apart by their first bytes.
pub(super) fn parse(bytes: &[u8]) -> Result<Document, ImportError> {
    // Both begin with a brace. In JSON a quote or white space follows, in UBJSON a length or a type.
    let second = bytes.get(1).copied().unwrap_or_default();
    if bytes.first() == Some(&b'{') && b"LlIiU$#N".contains(&second) {
        let mut reader = ubjson::Reader::new(bytes);
        let document = with_place(serde_path_to_error::deserialize(&mut reader), |error, place| {
            if error.syntax { Err(syntax(UBJSON, error)) } else { Ok(place) }
        })?;
        return reader.end().map(|()| document).map_err(|error| syntax(UBJSON, error));
    }
    let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if start != Some(&b'{') {
        return Err(ImportError::Syntax {
            format: "an XGBoost model as JSON or UBJSON",
            problem:
                "it does not begin with a brace, as a model in the old binary format or a pickle does not"
                    .to_owned(),
            mend: SAVE,
        });
    }
    let bytes = without_nan(bytes);
    let mut reader = serde_json::Deserializer::from_slice(&bytes);
    let document = with_place(serde_path_to_error::deserialize(&mut reader), |error, place| {
        if error.is_data() { Ok(place) } else { Err(syntax(JSON, error)) }
    })?;
    reader.end().map(|()| document).map_err(|error| syntax(JSON, error))
}

/// XGBoost writes `NaN`, `Infinity` and `-Infinity`, which JSON does not know: they become `null`.
fn without_nan(bytes: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let mut replaced: Vec<u8> = Vec::new();
    let (mut at, mut kept, mut in_text) = (0, 0, false);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'N' | b'I' | b'-' if !in_text => {
                let rest = bytes.get(at - 1..).unwrap_or_default();
                let Some(word) = WORDS.iter().find(|word| rest.starts_with(word)) else { continue };
                replaced.extend_from_slice(bytes.get(kept..at - 1).unwrap_or_default());
                replaced.extend_from_slice(b"null");
                at += word.len() - 1;
                kept = at;
            }
            _ => {}
        }
    }
    if kept == 0 {
        return Cow::Borrowed(bytes);
    }
    replaced.extend_from_slice(bytes.get(kept..).unwrap_or_default());
    Cow::Owned(replaced)
}

fn syntax(format: &'static str, error: impl std::fmt::Display) -> ImportError {
    ImportError::Syntax { format, problem: printable(&error.to_string()), mend: SAVE }
}

/// A parser's error as ours; `place_or` says whether the document's shape is at fault or its bytes.
fn with_place<T: DeserializeOwned, E: std::error::Error>(
    result: Result<T, serde_path_to_error::Error<E>>,
    place_or: impl FnOnce(&E, String) -> Result<String, ImportError>,
) -> Result<T, ImportError> {
    result.map_err(|error| {
        let place = error.path().to_string();
        let inner = error.into_inner();
        match place_or(&inner, place) {
            Err(error) => error,
            Ok(place) => {
                let problem = inner.to_string();
                if problem.starts_with("unknown field") {
                    return ImportError::unsupported(
                        format!("a model with {} ({})", place, printable(&problem)),
                        "this program does not know what that field does to predictions",
                        "train with XGBoost 1.7 to 3.2, or with a simpler booster",
                    );
                }
                ImportError::shape(place, problem)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_does_not_know_becomes_null_outside_of_texts() {
        let text = br#"{"NaN":[NaN,-Infinity,1,-2,Infinity],"a\"NaN":"\\"}"#;
        let expected = br#"{"NaN":[null,null,1,-2,null],"a\"NaN":"\\"}"#;
        assert_eq!(without_nan(text).as_ref(), expected);
        assert!(matches!(without_nan(br#"{"NaN":-1}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn an_f32_is_read_from_its_digits_and_not_from_a_double_between() {
        // Just above the middle between two f32, and nearer to it than a double can tell.
        let digits = "[1.000000059604644775390626]";
        let found: Vec<Condition> = serde_json::from_str(digits).unwrap();
        assert_eq!(found[0].value().to_bits(), 0x3f80_0001);
    }
}
