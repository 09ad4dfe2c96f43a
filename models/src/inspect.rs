//! A bundle in words.

use crate::bundle::Checked;
use std::fmt::Write;
use vereda_scoring::bundle::{Bundle, Calibration, Decision, Estimator, Kind, Text, TreeArithmetic};

/// Which of a bundle's two languages is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Spanish.
    Es,
    /// English.
    En,
}

impl Language {
    fn of(self, text: &Text) -> &str {
        match self {
            Language::Es => &text.es,
            Language::En => &text.en,
        }
    }
}

/// What a bundle is, asks, does, and is worth.
pub fn describe(checked: &Checked, language: Language) -> String {
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = write(&mut out, checked, language);
    out
}

fn write(out: &mut String, checked: &Checked, language: Language) -> std::fmt::Result {
    let (model, bundle) = (&checked.model, checked.model.bundle());
    let card = &bundle.card;
    writeln!(out, "{}", language.of(&bundle.name))?;
    writeln!(out, "  id           {}", bundle.id)?;
    writeln!(out, "  version      {}", bundle.version)?;
    writeln!(out, "  sha256       {}", model.sha256())?;
    writeln!(out, "  size         {} bytes", checked.bytes.len())?;
    writeln!(out, "  created      {} by {}", card.created, card.author)?;
    writeln!(out, "  estimator    {}", estimator(bundle))?;
    writeln!(out, "  calibration  {}", calibration(&bundle.calibration))?;
    writeln!(out, "  golden       {} vectors, equal to the bit", bundle.golden.len())?;
    writeln!(out, "  purpose      {}", language.of(&card.purpose))?;

    writeln!(out, "\nFeatures ({})", bundle.schema.currency)?;
    for feature in &bundle.schema.features {
        let scored = model.scored_features().any(|scored| scored.name == feature.name);
        writeln!(
            out,
            "  {:<18} {:<38} {}{}{}",
            feature.name,
            kind(&feature.kind),
            language.of(&feature.label),
            if feature.missing_allowed { ", may be missing" } else { "" },
            if scored { "" } else { ", not scored" }
        )?;
    }

    writeln!(out, "\nGroups")?;
    let cut = |i: usize| bundle.groups.cuts.get(i).copied();
    for (i, group) in bundle.groups.groups.iter().enumerate() {
        let from = i.checked_sub(1).and_then(cut).unwrap_or(0.0);
        let decision = match group.decision {
            Decision::Approve => "approve",
            Decision::Refer => "refer",
            Decision::Refuse => "refuse",
        };
        let observed =
            card.calibration.iter().find(|row| row.group.index() == i).map_or(String::new(), |row| {
                format!(
                    "  {} rows, observed {:.1} % ({:.1} to {:.1})",
                    row.rows,
                    100.0 * row.observed,
                    100.0 * row.interval.0,
                    100.0 * row.interval.1
                )
            });
        writeln!(
            out,
            "  T{} PD {:>5.1} % to {:>5.1} %  {:<8} {}{observed}",
            i + 1,
            100.0 * from,
            100.0 * cut(i).unwrap_or(1.0),
            decision,
            language.of(&group.label)
        )?;
    }

    writeln!(out, "\nMetrics")?;
    for metric in &card.metrics {
        let deviation = metric.deviation.map_or(String::new(), |d| format!(" ± {d:.4}"));
        writeln!(out, "  {:<9} {:.4}{deviation}  {}", metric.name, metric.value, metric.method)?;
    }

    writeln!(out, "\nLimits")?;
    for limit in &card.limits {
        writeln!(out, "  - {}", language.of(limit))?;
    }
    writeln!(out, "\nFairness\n  {}", language.of(&card.fairness))?;
    writeln!(out, "\nData\n  {}, {} rows, sha256 {}", card.data.name, card.data.rows, card.data.sha256)?;
    writeln!(out, "  {}", language.of(&card.data.source))
}

fn estimator(bundle: &Bundle) -> String {
    match &bundle.estimator {
        Estimator::Logistic { terms, points, .. } => {
            let points = points.map_or(String::new(), |p| {
                format!(", {} points at odds {}, {} double the odds", p.base_points, p.base_odds, p.pdo)
            });
            format!("logistic regression, {} terms{points}", terms.len())
        }
        Estimator::TreeEnsemble { arithmetic, trees, monotone, .. } => {
            let whose = match arithmetic {
                TreeArithmetic::Xgboost => "XGBoost",
                TreeArithmetic::Lightgbm => "LightGBM",
            };
            let nodes: usize = trees.iter().map(|tree| tree.nodes.len()).sum();
            format!(
                "{whose}, {} trees with {nodes} nodes, monotone in {} features",
                trees.len(),
                monotone.len()
            )
        }
        Estimator::Linear { weights, .. } => format!("linear, {} weights", weights.len()),
    }
}

fn calibration(calibration: &Calibration) -> String {
    match calibration {
        Calibration::None => "none: PD = logistic(margin)".into(),
        Calibration::Platt { slope, intercept } => format!("Platt, slope {slope}, intercept {intercept}"),
        Calibration::Isotonic { margins, .. } => format!("isotonic, {} points", margins.len()),
        Calibration::PriorShift { training, prior } => format!("bad rate shifted from {training} to {prior}"),
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Number { min, max, .. } => format!("number {min} to {max}"),
        Kind::Integer { min, max, .. } => format!("integer {min} to {max}"),
        Kind::Category { options } => {
            let codes: Vec<&str> = options.iter().map(|option| option.code.as_str()).collect();
            codes.join("|")
        }
        Kind::Boolean => "yes or no".into(),
    }
}
