//! From the margin to a probability of default.

use crate::bundle::Calibration;

/// The smallest PD that is given: the next double after 0.
pub const SMALLEST_PD: f64 = f64::from_bits(1);
/// The largest PD that is given: the last double before 1.
pub const LARGEST_PD: f64 = 1.0 - f64::EPSILON / 2.0;

/// 1 / (1 + e^-x), without overflow and without losing small probabilities.
pub fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

/// ln(p / (1 - p)).
pub fn logit(p: f64) -> f64 {
    libm::log(p) - libm::log1p(-p)
}

/// PD of a margin, strictly inside (0, 1): a certainty that no model has would come from rounding,
/// so it becomes the nearest double inside.
pub(crate) fn probability(calibration: &Calibration, margin: f64) -> f64 {
    let p = match calibration {
        Calibration::None => logistic(margin),
        Calibration::Platt { slope, intercept } => logistic(slope * margin + intercept),
        Calibration::Isotonic { margins, probabilities } => isotonic(margins, probabilities, margin),
        Calibration::PriorShift { training, prior } => logistic(margin + (logit(*prior) - logit(*training))),
    };
    p.clamp(SMALLEST_PD, LARGEST_PD)
}

fn isotonic(margins: &[f64], probabilities: &[f64], margin: f64) -> f64 {
    let above = margins.partition_point(|m| *m <= margin);
    let point = |i: usize| Some((*margins.get(i)?, *probabilities.get(i)?));
    match (above.checked_sub(1).and_then(point), point(above)) {
        (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * ((margin - x0) / (x1 - x0)),
        (Some((_, y)), None) | (None, Some((_, y))) => y,
        (None, None) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_stay_strictly_inside() {
        for margin in [-1e6, -800.0, -745.0, -40.0, 0.0, 36.0, 37.0, 40.0, 800.0, 1e6] {
            let p = probability(&Calibration::None, margin);
            assert!(p > 0.0 && p < 1.0, "{margin}: {p}");
        }
        assert_eq!(probability(&Calibration::None, 1e6), LARGEST_PD);
        assert_eq!(probability(&Calibration::None, -1e6), SMALLEST_PD);
    }

    #[test]
    fn isotonic_is_linear_between_and_flat_outside() {
        let c = Calibration::Isotonic { margins: vec![-1.0, 0.0, 2.0], probabilities: vec![0.1, 0.2, 0.6] };
        for (margin, expected) in
            [(-5.0, 0.1), (-1.0, 0.1), (-0.5, 0.15), (0.0, 0.2), (1.0, 0.4), (2.0, 0.6), (9.0, 0.6)]
        {
            assert!((probability(&c, margin) - expected).abs() < 1e-15, "{margin}");
        }
    }

    #[test]
    fn prior_shift_moves_the_odds_by_their_ratio() {
        let c = Calibration::PriorShift { training: 0.5, prior: 0.1 };
        assert!((probability(&c, 0.0) - 0.1).abs() < 1e-15);
        assert!((probability(&Calibration::Platt { slope: 2.0, intercept: 1.0 }, -0.5) - 0.5).abs() < 1e-15);
    }
}
