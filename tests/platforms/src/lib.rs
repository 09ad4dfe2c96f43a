//! What every platform is asked: to score a file of rows and say the bits of each answer.
//!
//! `tests/bits.rs` compiles this for three platforms, gives each the same file, and compares.

mod exports;
pub mod vectors;

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use vereda_scoring::{Inputs, Model};

/// A file of rows for several bundles.
#[derive(Debug, Serialize, Deserialize)]
pub struct Vectors {
    /// Each with its rows.
    pub cases: Vec<Case>,
}

/// A bundle and what it is to score.
#[derive(Debug, Serialize, Deserialize)]
pub struct Case {
    /// What it is called in the answers.
    pub name: String,
    /// The bundle's document, as text.
    pub bundle: String,
    /// Answers of an interview, for the whole score with its reasons.
    pub inputs: Vec<Inputs>,
    /// One number per feature, as the bits of doubles: JSON has no infinities, and none of its
    /// readers shall round.
    pub rows: Vec<Vec<u64>>,
}

/// Scores everything; a line per row with the bits of margin, PD and contributions.
///
/// # Errors
/// In words: the file is not as it should be, or a bundle is refused.
pub fn answers(file: &str) -> Result<String, String> {
    let vectors: Vectors = serde_json::from_str(file).map_err(|error| error.to_string())?;
    let mut out = String::new();
    for case in &vectors.cases {
        let refused = |error: &dyn std::fmt::Display| format!("{}: {error}", case.name);
        let model = Model::load(case.bundle.as_bytes()).map_err(|error| refused(&error))?;
        for (index, inputs) in case.inputs.iter().enumerate() {
            let score = model.score(inputs).map_err(|error| refused(&error))?;
            let parts: Vec<f64> = score.contributions.iter().map(|part| part.value).collect();
            let _ = write!(out, "{} inputs {index}", case.name);
            line(&mut out, &model, score.margin, score.probability, &parts, score.bias);
            for reason in &score.reasons {
                let _ = writeln!(out, "  {} {}", reason.feature, bits(reason.contribution));
            }
        }
        let rows: Vec<f64> = case.rows.iter().flatten().map(|bits| f64::from_bits(*bits)).collect();
        let margins = model.margins(&rows).map_err(|error| refused(&error))?;
        let contributions = model.contributions(&rows).map_err(|error| refused(&error))?;
        for (index, (margin, parts)) in
            margins.iter().zip(contributions.chunks(model.width() + 1)).enumerate()
        {
            let _ = write!(out, "{} row {index}", case.name);
            let (bias, parts) = parts.split_last().unwrap_or((&f64::NAN, &[]));
            line(&mut out, &model, *margin, model.probability(*margin), parts, *bias);
        }
    }
    Ok(out)
}

fn line(out: &mut String, model: &Model, margin: f64, pd: f64, parts: &[f64], bias: f64) {
    let _ = write!(out, " margin {} pd {} group {} parts", bits(margin), bits(pd), model.group(pd));
    for part in parts {
        let _ = write!(out, " {}", bits(*part));
    }
    let _ = writeln!(out, " bias {}", bits(bias));
}

/// The bits of a number. Which of its many NaNs a processor makes is not specified, and no answer
/// depends on it.
fn bits(x: f64) -> String {
    if x.is_nan() { "nan".into() } else { format!("{:016x}", x.to_bits()) }
}
