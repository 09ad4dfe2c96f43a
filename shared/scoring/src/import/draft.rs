//! From an imported model to a whole bundle, as far as a model alone can say what belongs there.

use super::{ImportError, Imported, PLACEHOLDER, Placement};
use crate::bundle::{
    Baseline, Bundle, Card, CardData, Decision, Distribution, Estimator, FORMAT, FORMAT_VERSION, Group,
    GroupText, Groups, ReasonText, Reasons, Reference, Schema, Text,
};
use crate::check;
use std::collections::BTreeMap;

/// The cuts of a bundle for which nobody has chosen any: PDs, from low risk to high.
pub const DEFAULT_CUTS: [f64; 7] = [0.03, 0.07, 0.13, 0.22, 0.34, 0.48, 0.65];

/// From green to red, T1 first.
const COLOURS: [&str; 8] =
    ["#1a7f4b", "#3f9a52", "#78b159", "#b8bf4d", "#e0b23c", "#e08a35", "#d4602f", "#b3312b"];

impl Imported {
    /// A bundle with the estimator under `schema`, and marked placeholders for everything that the
    /// model does not know: names, groups, reasons, purpose. No reference distributions, no golden
    /// vectors. [`crate::Model::draft`] evaluates it; [`crate::bundle::seal`] takes it once it has
    /// golden vectors.
    ///
    /// # Errors
    /// As [`Imported::bind`].
    pub fn draft(&self, schema: Schema, placements: &[Placement]) -> Result<Bundle, ImportError> {
        let estimator = self.bind(&schema, placements)?;
        let mut bundle = self.blank(schema, estimator);
        let with_means = !matches!(bundle.estimator, Estimator::TreeEnsemble(_));
        for index in check::scored_features(&bundle) {
            let Some(feature) = bundle.schema.features.get(index) else { continue };
            let Text { es, en } = unmarked(&feature.label);
            let raises = Text {
                es: format!("{}{es}: sube el riesgo.", PLACEHOLDER.es),
                en: format!("{}{en}: raises the risk.", PLACEHOLDER.en),
            };
            let lowers = Text {
                es: format!("{}{es}: baja el riesgo.", PLACEHOLDER.es),
                en: format!("{}{en}: lowers the risk.", PLACEHOLDER.en),
            };
            bundle.reasons.texts.insert(feature.name.clone(), ReasonText { raises, lowers });
            if with_means {
                bundle.reference.mean_parts.insert(feature.name.clone(), 0.0);
            }
        }
        Ok(bundle)
    }

    fn blank(&self, schema: Schema, estimator: Estimator) -> Bundle {
        let groups = Group::ALL.iter().zip(COLOURS).map(|(group, colour)| default_group(*group, colour));
        Bundle {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            id: "imported".to_owned(),
            version: 1,
            name: PLACEHOLDER.mark(&self.library),
            schema,
            estimator,
            calibration: self.calibration.clone(),
            groups: Groups { cuts: DEFAULT_CUTS.to_vec(), groups: groups.collect() },
            reasons: Reasons { max: 4, adverse: 4, baseline: Baseline::Mean, texts: BTreeMap::new() },
            golden: Vec::new(),
            reference: Reference {
                rows: 0,
                features: BTreeMap::new(),
                score: Distribution::Numeric { edges: Vec::new(), shares: vec![1.0], missing: 0.0 },
                group_shares: Vec::new(),
                mean_parts: BTreeMap::new(),
            },
            card: self.card(),
        }
    }

    fn card(&self) -> Card {
        Card {
            purpose: PLACEHOLDER.mark("?"),
            limits: vec![Text {
                es: format!(
                    "Modelo importado de {}: nadie ha escrito todavía para qué no sirve.",
                    self.library
                ),
                en: format!(
                    "Imported from {}: nobody has written yet what it must not be used for.",
                    self.library
                ),
            }],
            data: CardData {
                name: "?".to_owned(),
                sha256: "0".repeat(64),
                rows: 0,
                source: PLACEHOLDER.mark("?"),
            },
            metrics: Vec::new(),
            calibration: Vec::new(),
            fairness: PLACEHOLDER.mark("?"),
            protected: BTreeMap::new(),
            author: "?".to_owned(),
            created: "1970-01-01".to_owned(),
        }
    }
}

/// Nobody has decided anything about this group: somebody must look at each case.
fn default_group(group: Group, colour: &str) -> GroupText {
    GroupText {
        label: PLACEHOLDER.mark(group.as_str()),
        decision: Decision::Refer,
        action: PLACEHOLDER.mark("?"),
        colour: colour.to_owned(),
    }
}

/// A text without its mark.
fn unmarked(text: &Text) -> Text {
    let strip = |words: &str, mark: &str| words.strip_prefix(mark).unwrap_or(words).to_owned();
    Text { es: strip(&text.es, PLACEHOLDER.es), en: strip(&text.en, PLACEHOLDER.en) }
}
