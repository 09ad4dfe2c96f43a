//! How a model's margins become probabilities that hold on given rows.

use vereda_scoring::bundle::Calibration;
use vereda_scoring::calibrate::probability;

/// Isotonic calibration has many degrees of freedom: fewer rows than this do not pin it down.
pub const ISOTONIC_ROWS: usize = 1000;
/// Fewer rows than this, or fewer of either outcome, calibrate nothing.
pub const LEAST_ROWS: usize = 100;
/// Least rows of each outcome.
pub const LEAST_OF_EACH: usize = 10;
const FOLDS: usize = 5;

/// A margin with what happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// As the estimator gives it.
    pub margin: f64,
    /// Whether it came to a default.
    pub bad: bool,
}

/// What was chosen, and what it was chosen from.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Fitted on all rows.
    pub calibration: Calibration,
    /// Its name, and the log-loss out of fold of each that was tried.
    pub tried: Vec<(&'static str, f64)>,
    /// Which of `tried`.
    pub name: &'static str,
}

/// What may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Method {
    /// The simplest that nothing beats: compared by log-loss out of fold.
    #[default]
    Auto,
    /// As the model has it.
    None,
    /// Slope and intercept on the margin.
    Platt,
    /// Monotone, piecewise linear.
    Isotonic,
}

type Fit = fn(&[Observed], &Calibration) -> Option<Calibration>;

fn own(_rows: &[Observed], own: &Calibration) -> Option<Calibration> {
    Some(own.clone())
}

/// Chooses and fits. With [`Method::Auto`], each candidate is fitted on four fifths of the rows and
/// measured on the rest, five times over; a candidate with more degrees of freedom is taken only if
/// its log-loss is lower by more than the standard error of the difference.
///
/// # Errors
/// Why the rows or the margins do not allow it.
pub fn choose(rows: &[Observed], own_calibration: &Calibration, method: Method) -> Result<Chosen, String> {
    let bads = rows.iter().filter(|row| row.bad).count();
    if method != Method::None
        && (rows.len() < LEAST_ROWS || bads < LEAST_OF_EACH || rows.len() - bads < LEAST_OF_EACH)
    {
        return Err(format!(
            "{} rows with {bads} defaults do not calibrate a model: at least {LEAST_ROWS} rows with \
             {LEAST_OF_EACH} of each outcome are needed, or --calibration none",
            rows.len()
        ));
    }
    let mut candidates: Vec<(&'static str, Fit)> = match method {
        Method::Auto => vec![("none", own as Fit), ("platt", platt), ("isotonic", isotonic)],
        Method::None => vec![("none", own)],
        Method::Platt => vec![("platt", platt)],
        Method::Isotonic => vec![("isotonic", isotonic)],
    };
    if method == Method::Auto && rows.len() < ISOTONIC_ROWS {
        candidates.truncate(2);
    }
    let mut tried = Vec::new();
    let mut best: Option<(&'static str, Fit, Vec<f64>)> = None;
    for (name, fit) in candidates {
        let Some(losses) = out_of_fold(rows, own_calibration, fit) else { continue };
        tried.push((name, mean(&losses)));
        let better = best.as_ref().is_none_or(|(_, _, before)| clearly_lower(&losses, before));
        if better {
            best = Some((name, fit, losses));
        }
    }
    let chosen = best.and_then(|(name, fit, _)| Some((name, fit(rows, own_calibration)?)));
    let Some((name, calibration)) = chosen else {
        return Err(
            "the observed defaults do not rise with the margin: check that the target is 1 for a default"
                .to_owned(),
        );
    };
    Ok(Chosen { calibration, tried, name })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Whether losses are lower than others by more than the standard error of the mean difference.
fn clearly_lower(losses: &[f64], before: &[f64]) -> bool {
    let differences: Vec<f64> = losses.iter().zip(before).map(|(a, b)| b - a).collect();
    let gain = mean(&differences);
    let variance = mean(&differences.iter().map(|d| (d - gain).powi(2)).collect::<Vec<_>>());
    gain > (variance / differences.len().max(1) as f64).sqrt()
}

/// Log-loss of each row under a fit that did not see it. Folds are stratified and follow the order of
/// the rows, so that the same file gives the same answer.
fn out_of_fold(rows: &[Observed], own: &Calibration, fit: Fit) -> Option<Vec<f64>> {
    let (mut seen, mut fold) = ([0usize; 2], Vec::with_capacity(rows.len()));
    for row in rows {
        let count = &mut seen[usize::from(row.bad)];
        fold.push(*count % FOLDS);
        *count += 1;
    }
    let mut losses = vec![0.0; rows.len()];
    for held in 0..FOLDS {
        let training: Vec<Observed> =
            rows.iter().zip(&fold).filter(|(_, f)| **f != held).map(|(row, _)| *row).collect();
        let calibration = fit(&training, own)?;
        for ((row, f), loss) in rows.iter().zip(&fold).zip(&mut losses) {
            if *f == held {
                let p = probability(&calibration, row.margin);
                *loss = if row.bad { -p.ln() } else { -(-p).ln_1p() };
            }
        }
    }
    Some(losses)
}

/// Maximum likelihood of slope and intercept, with Platt's smoothed targets, by Newton's method with
/// step halving (Lin, Lin and Weng, "A note on Platt's probabilistic outputs", 2007). None if the
/// slope is not above 0.
fn platt(rows: &[Observed], _own: &Calibration) -> Option<Calibration> {
    let bads = rows.iter().filter(|row| row.bad).count() as f64;
    let goods = rows.len() as f64 - bads;
    let targets = [1.0 / (goods + 2.0), (bads + 1.0) / (bads + 2.0)];
    let target = |row: &Observed| targets[usize::from(row.bad)];
    let loss = |slope: f64, intercept: f64| -> f64 {
        rows.iter()
            .map(|row| {
                let z = slope * row.margin + intercept;
                // ln(1 + e^z) - t z, without overflow.
                z.max(0.0) + (-z.abs()).exp().ln_1p() - target(row) * z
            })
            .sum()
    };
    let (mut slope, mut intercept) = (0.0, ((bads + 1.0) / (goods + 1.0)).ln());
    let mut current = loss(slope, intercept);
    for _ in 0..100 {
        let (mut gs, mut gi, mut ss, mut si, mut ii) = (0.0, 0.0, 1e-12, 0.0, 1e-12);
        for row in rows {
            let p = vereda_scoring::calibrate::logistic(slope * row.margin + intercept);
            let (error, weight) = (p - target(row), p * (1.0 - p));
            gs += error * row.margin;
            gi += error;
            ss += weight * row.margin * row.margin;
            si += weight * row.margin;
            ii += weight;
        }
        if gs.abs() < 1e-9 && gi.abs() < 1e-9 {
            break;
        }
        let determinant = ss * ii - si * si;
        if determinant <= 0.0 || determinant.is_nan() {
            break;
        }
        let (ds, di) = ((ii * gs - si * gi) / determinant, (ss * gi - si * gs) / determinant);
        let mut step = 1.0;
        loop {
            let (s, i) = (slope - step * ds, intercept - step * di);
            let new = loss(s, i);
            if new < current {
                (slope, intercept, current) = (s, i, new);
                break;
            }
            step /= 2.0;
            if step < 1e-10 {
                return finish(slope, intercept);
            }
        }
    }
    finish(slope, intercept)
}

fn finish(slope: f64, intercept: f64) -> Option<Calibration> {
    (slope > 0.0 && slope.is_finite() && intercept.is_finite())
        .then_some(Calibration::Platt { slope, intercept })
}

/// Pool adjacent violators over the margins; a block's point stands at its mean margin. Shares of 0
/// and 1 are moved inside by as much as all the rows allow to say. None if one block is left.
fn isotonic(rows: &[Observed], _own: &Calibration) -> Option<Calibration> {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| a.margin.total_cmp(&b.margin));
    // (rows, bads, sum of margins); rows with equal margins are one block from the start.
    let mut blocks: Vec<(f64, f64, f64)> = Vec::new();
    for run in sorted.chunk_by(|a, b| a.margin == b.margin) {
        let bads = run.iter().filter(|row| row.bad).count() as f64;
        blocks.push((run.len() as f64, bads, run.iter().map(|row| row.margin).sum()));
        while let [.., before, last] = blocks.as_slice() {
            if before.1 * last.0 < last.1 * before.0 {
                break;
            }
            let merged = (before.0 + last.0, before.1 + last.1, before.2 + last.2);
            blocks.truncate(blocks.len() - 2);
            blocks.push(merged);
        }
    }
    let inside = 1.0 / (rows.len() as f64 + 2.0);
    let (mut margins, mut probabilities) = (Vec::new(), Vec::new());
    for (rows, bads, sum) in blocks {
        let (margin, p) = (sum / rows, (bads / rows).clamp(inside, 1.0 - inside));
        if margins.last().is_none_or(|before| *before < margin) {
            margins.push(margin);
            probabilities.push(p);
        }
    }
    (margins.len() >= 2).then_some(Calibration::Isotonic { margins, probabilities })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uniform on (0, 1), the same on every run.
    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((*state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn rows(count: usize, truth: impl Fn(f64) -> f64) -> Vec<Observed> {
        let mut state = 7;
        (0..count)
            .map(|_| {
                let margin = 8.0 * uniform(&mut state) - 4.0;
                Observed { margin, bad: uniform(&mut state) < truth(margin) }
            })
            .collect()
    }

    fn logistic(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn a_calibrated_model_is_left_alone() {
        let found = choose(&rows(4000, logistic), &Calibration::None, Method::Auto).unwrap();
        assert_eq!((found.name, found.calibration), ("none", Calibration::None));
        assert_eq!(found.tried.len(), 3);
    }

    #[test]
    fn a_stretched_model_is_unstretched() {
        let found =
            choose(&rows(20_000, |m| logistic(0.5 * m - 1.0)), &Calibration::None, Method::Auto).unwrap();
        let Calibration::Platt { slope, intercept } = found.calibration else { panic!("{found:?}") };
        // Four standard errors of this many rows are below 0.08.
        assert!((slope - 0.5).abs() < 0.05 && (intercept + 1.0).abs() < 0.08, "{slope} {intercept}");
    }

    #[test]
    fn steps_need_isotonic() {
        let step = |m: f64| {
            if m < 0.0 {
                0.02
            } else if m < 2.0 {
                0.5
            } else {
                0.55
            }
        };
        let found = choose(&rows(20_000, step), &Calibration::None, Method::Auto).unwrap();
        let Calibration::Isotonic { margins, probabilities } = &found.calibration else {
            panic!("{found:?}")
        };
        assert!(margins.windows(2).all(|w| w[0] < w[1]));
        assert!(probabilities.windows(2).all(|w| w[0] <= w[1]));
        assert!((probability(&found.calibration, -2.0) - 0.02).abs() < 0.02);
        assert!((probability(&found.calibration, 1.0) - 0.5).abs() < 0.06);
    }

    #[test]
    fn separated_rows_give_a_finite_slope_and_reversed_ones_none() {
        let separated: Vec<Observed> =
            (0..200).map(|i| Observed { margin: f64::from(i) - 100.0, bad: i >= 100 }).collect();
        let found = choose(&separated, &Calibration::None, Method::Platt).unwrap();
        assert!(matches!(found.calibration, Calibration::Platt { slope, .. } if slope.is_finite()));
        let reversed: Vec<Observed> =
            separated.iter().map(|row| Observed { margin: -row.margin, bad: row.bad }).collect();
        assert!(choose(&reversed, &Calibration::None, Method::Platt).unwrap_err().contains("do not rise"));
        assert!(choose(&separated[..50], &Calibration::None, Method::Auto).unwrap_err().contains("50 rows"));
    }
}
