//! `inspect`: a bundle in words.

use crate::bundle::{self, Checked};
use crate::{Error, output};
use std::fmt::Write;
use std::path::PathBuf;
use vereda_scoring::bundle::{
    Bundle, Calibration, Direction, Estimator, Feature, Kind, Text, TreeArithmetic, Unit,
};

/// What `inspect` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The bundle.
    bundle: PathBuf,
    /// Which of the bundle's languages to show.
    #[arg(long, value_enum, default_value = "en")]
    language: Language,
}

/// Prints a bundle in words.
///
/// # Errors
/// When the bundle is refused, or writing fails.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let checked = bundle::read(&arguments.bundle)?;
    output::write(None, describe(&checked, arguments.language).as_bytes())
}

/// Which of a bundle's two languages is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Spanish.
    Es,
    /// English.
    En,
}

impl Language {
    /// The text in this language.
    pub fn of(self, text: &Text) -> &str {
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

    let currency = &bundle.schema.currency;
    writeln!(out, "\nSchema: {} features, currency {currency}", bundle.schema.features.len())?;
    for section in &bundle.schema.sections {
        writeln!(out, "  {}", language.of(&section.label))?;
        for feature in bundle.schema.features.iter().filter(|feature| feature.section == section.id) {
            let scored = model.scored_features().any(|scored| scored.name == feature.name);
            writeln!(
                out,
                "    {:<20} {:<38} {}{}",
                feature.name,
                kind(&feature.kind),
                language.of(&feature.label),
                remarks(bundle, feature, scored)
            )?;
            if let Kind::Category { options, .. } = &feature.kind {
                for option in options {
                    writeln!(out, "      {:<18} {}", option.code, language.of(&option.label))?;
                }
            }
        }
    }

    writeln!(out, "\nGroups")?;
    let cut = |i: usize| bundle.groups.cuts.get(i).copied();
    for (i, group) in bundle.groups.groups.iter().enumerate() {
        let from = i.checked_sub(1).and_then(cut).unwrap_or(0.0);
        let decision = group.decision.as_str();
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

/// The estimator in a line.
pub fn estimator(bundle: &Bundle) -> String {
    match &bundle.estimator {
        Estimator::Logistic { terms, points, .. } => {
            let points = points.map_or(String::new(), |p| {
                format!(", {} points at odds {}, {} double the odds", p.base_points, p.base_odds, p.pdo)
            });
            format!("logistic regression, {} terms{points}", terms.len())
        }
        Estimator::TreeEnsemble(ensemble) => {
            let whose = match ensemble.arithmetic {
                TreeArithmetic::Xgboost => "XGBoost",
                TreeArithmetic::Lightgbm => "LightGBM",
            };
            format!(
                "{whose}, {} trees with {} nodes, monotone in {} features",
                ensemble.trees.len(),
                ensemble.node_count(),
                ensemble.monotone.len()
            )
        }
        Estimator::Linear { weights, .. } => format!("linear, {} weights", weights.len()),
    }
}

/// The calibration in a line.
pub fn calibration(calibration: &Calibration) -> String {
    match calibration {
        Calibration::None => "none: PD = logistic(margin)".into(),
        Calibration::Platt { slope, intercept } => format!("Platt, slope {slope}, intercept {intercept}"),
        Calibration::Isotonic { margins, .. } => format!("isotonic, {} points", margins.len()),
        Calibration::PriorShift { training, prior } => format!("bad rate shifted from {training} to {prior}"),
    }
}

fn kind(kind: &Kind) -> String {
    let unit = |unit: &Unit| match unit {
        Unit::None => "",
        Unit::Currency => " of currency",
        Unit::Years => " years",
        Unit::Months => " months",
        Unit::Percent => " %",
        Unit::Count => " (a count)",
    };
    match kind {
        Kind::Number { min, max, unit: of } => format!("number {min} to {max}{}", unit(of)),
        Kind::Integer { min, max, unit: of } => format!("integer {min} to {max}{}", unit(of)),
        Kind::Category { options, .. } => format!("one of {}", options.len()),
        Kind::Boolean => "yes or no".into(),
    }
}

/// Which way the bundle claims that the PD moves as the feature grows.
pub fn monotone(bundle: &Bundle, feature: &Feature) -> Option<Direction> {
    match &bundle.estimator {
        Estimator::TreeEnsemble(ensemble) => ensemble.monotone.get(&feature.name).copied(),
        _ => None,
    }
}

fn remarks(bundle: &Bundle, feature: &Feature, scored: bool) -> String {
    let mut remarks = String::new();
    let monotone = monotone(bundle, feature);
    for (holds, remark) in [
        (feature.missing_allowed, "may be missing"),
        (!scored, "not scored"),
        (feature.adjustable, "may be varied in a what-if"),
        (monotone == Some(Direction::Rises), "more of it never lowers the PD"),
        (monotone == Some(Direction::Falls), "more of it never raises the PD"),
    ] {
        if holds {
            remarks.push_str("; ");
            remarks.push_str(remark);
        }
    }
    remarks
}
