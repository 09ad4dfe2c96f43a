//! What a model was trained on and how it did: for drift, for reasons, and for the people who use it.

use super::{Group, Text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The distributions of the training data, for PSI (score) and CSI (features), and the mean
/// contribution that reasons are measured against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// How many rows.
    pub rows: u64,
    /// By feature name.
    #[serde(deserialize_with = "super::strict::map")]
    pub features: BTreeMap<String, Distribution>,
    /// Of the PD.
    pub score: Distribution,
    /// Share per group, T1 first, of the training data out of fold.
    pub group_shares: Vec<f64>,
    /// For logistic and linear models: each scored feature's mean part of the margin over the
    /// reference rows; a contribution is the part minus this mean. Tree models need none (SHAP's
    /// expectation comes from the covers).
    #[serde(deserialize_with = "super::strict::map")]
    pub mean_parts: BTreeMap<String, f64>,
}

/// Shares over bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// Bins (-inf, e0], (e0, e1], .., (en, inf): one share more than edges.
    Numeric {
        /// Strictly ascending.
        edges: Vec<f64>,
        /// Sum with `missing` to 1.
        shares: Vec<f64>,
        /// Share without an answer.
        missing: f64,
    },
    /// By option code.
    Categorical {
        /// Sum with `missing` to 1.
        #[serde(deserialize_with = "super::strict::map")]
        shares: BTreeMap<String, f64>,
        /// Share without an answer.
        missing: f64,
    },
}

/// What a person must know before using the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// What it is for.
    pub purpose: Text,
    /// What it must not be used for and where it is weak, a sentence each.
    pub limits: Vec<Text>,
    /// What it learned from.
    pub data: CardData,
    /// How well it does, each with how that was measured.
    pub metrics: Vec<Metric>,
    /// Out of fold, T1 first.
    pub calibration: Vec<CalibrationRow>,
    /// Which protected attributes were kept out or why one is in.
    pub fairness: Text,
    /// By feature name, why a scored feature may stand whose name or label speaks of a protected
    /// attribute (age, sex, marital status, nationality, ...); without it the bundle is refused.
    #[serde(deserialize_with = "super::strict::map")]
    pub protected: BTreeMap<String, Text>,
    /// Who made it.
    pub author: String,
    /// RFC 3339 date.
    pub created: String,
}

/// The training data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardData {
    /// Its name.
    pub name: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// How many rows were used.
    pub rows: u64,
    /// Where it comes from and under what licence.
    pub source: Text,
}

/// One figure of merit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// `auc`, `ks`, `gini`, `brier` or `log_loss`.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Standard deviation over the folds, where there are folds.
    pub deviation: Option<f64>,
    /// How it was measured.
    pub method: String,
}

/// How one group turned out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationRow {
    /// Which.
    pub group: Group,
    /// Rows in it.
    pub rows: u64,
    /// Defaults among them.
    pub bads: u64,
    /// Mean predicted PD.
    pub predicted: f64,
    /// Observed share of defaults.
    pub observed: f64,
    /// Jeffreys 95 % interval of the observed share: lower, upper.
    pub interval: (f64, f64),
}
