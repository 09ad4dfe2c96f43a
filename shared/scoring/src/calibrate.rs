//! From the margin to a probability of default.

use crate::bundle::Calibration;

/// The smallest PD that is given: the next double after 0.
pub const SMALLEST_PD: f64 = f64::from_bits(1);
/// The largest PD that is given: the last double before 1.
pub const LARGEST_PD: f64 = 1.0 - f64::EPSILON / 2.0;

/// 1 / (1 + e^-x), rounded from about 110 bits: within 1 unit in the last place of the exact value, where
/// the formula in doubles is up to 2 off. No overflow, and small probabilities keep all their digits.
///
/// ```
/// use vereda_scoring::calibrate::{logistic, logit};
/// assert_eq!(logistic(0.0), 0.5);
/// assert!((logit(logistic(-40.0)) + 40.0).abs() < 1e-12);
/// ```
pub fn logistic(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    // Beyond, e^-|x| is 0 or too small to be seen beside 1.
    if x.abs() > 745.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (power, (high, low)) = exp(-x.abs());
    if power < -1000 {
        // 1 + e is 1; the two factors keep the scaling from rounding twice.
        let e = (high + low) * two_to(-500) * two_to(power + 500);
        return if x > 0.0 { 1.0 } else { e };
    }
    let (high, low) = (high * two_to(power), low * two_to(power));
    // 1 / (1 + e) or e / (1 + e), by one step of long division on the sum's two parts.
    let (sum, rest) = two_sum(1.0, high);
    let rest = rest + low;
    let (top, top_low) = if x > 0.0 { (1.0, 0.0) } else { (high, low) };
    let quotient = top / sum;
    let (product, product_low) = two_product(quotient, sum);
    quotient + ((top - product) - product_low + top_low - quotient * rest) / sum
}

/// e^x for x in (-746, 0] as 2^power times the sum of two doubles, which is between 0.7 and 1.5.
fn exp(x: f64) -> (i32, (f64, f64)) {
    // ln 2 with zeros at the end, so that a product with a small whole number is exact, and the rest.
    const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN_2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    let power = libm::rint(x * std::f64::consts::LOG2_E);
    let (r, r_low) = two_sum(x - power * LN_2_HIGH, -power * LN_2_LOW);
    let (_, error) = two_product(power, LN_2_LOW);
    let r_low = r_low - error;
    // 1 + r + r^2 / 2 + r^3 / 3! + ...: the first three in two parts, the small rest in one.
    let mut rest = 0.0;
    for n in (3..=17).rev() {
        rest = (rest * r + 1.0) / f64::from(n);
    }
    // Now rest = (1 + r/4 + r^2/20 + ...) / 3; with r^2 / 2 before it.
    let (square, square_low) = two_product(r, r);
    let (half, half_low) = (square / 2.0, square_low / 2.0);
    let (first, first_low) = two_sum(1.0, r);
    let (second, second_low) = two_sum(first, half);
    let low = first_low + second_low + half_low + half * r * rest + r_low * (1.0 + r);
    (power as i32, two_sum(second, low))
}

/// 2^n for a normal result.
fn two_to(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

/// a + b exactly, as a double and what it lacks (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// a x b exactly, as a double and what it lacks (Dekker, without fused multiply-add, which is slow where
/// there is none).
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let split = |x: f64| {
        let scaled = 134_217_729.0 * x;
        let high = scaled - (scaled - x);
        (high, x - high)
    };
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (split(a), split(b));
    (product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low)
}

/// ln(p / (1 - p)).
pub fn logit(p: f64) -> f64 {
    libm::log(p) - libm::log1p(-p)
}

/// PD of a margin, strictly inside (0, 1): a certainty that no model has would come from rounding,
/// so it becomes the nearest double inside.
pub fn probability(calibration: &Calibration, margin: f64) -> f64 {
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
        // Halved, so that no difference of far points is infinite; the quotient is the same.
        (Some((x0, y0)), Some((x1, y1))) => {
            y0 + (y1 - y0) * ((margin / 2.0 - x0 / 2.0) / (x1 / 2.0 - x0 / 2.0))
        }
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

    /// Correctly rounded from 60 digits. The formula in doubles misses the first six by 2 units.
    #[test]
    fn a_probability_is_within_one_unit_in_the_last_place() {
        for (margin, exact) in [
            (-1.966540251948997, 0x3fbf6d4389b70062),
            (-5.547071895560393, 0x3f6fd0bd7bebc822),
            (-4.848889293200116, 0x3f7fd9de68989098),
            (-2.733830692787072, 0x3faf3c398d0d3b40),
            (-4.929621383056164, 0x3f7d66000b3ff940),
            (-2.0627932516850764, 0x3fbcde3c995a21e4),
            (0.0, 0x3fe0000000000000),
            (1e-300, 0x3fe0000000000000),
            (-1e-09, 0x3fdfffffffbb47d0),
            (-std::f64::consts::LN_2, 0x3fd5555555555555),
            (20.0, 0x3feffffffee4b79b),
            (-36.5, 0x3ca4466751c2bbe8),
            (-100.25, 0x36e4acd31e167ebb),
            (-600.0, 0x09d4dd4d0d12c071),
            (-708.5, 0x000e6cf6d08897ac),
            (36.0, 0x3feffffffffffffe),
        ] {
            let found = logistic(margin).to_bits();
            assert!(found.abs_diff(exact) <= 1, "{margin}: {found:016x} is not {exact:016x}");
        }
        assert!(logistic(f64::NAN).is_nan());
    }

    #[test]
    fn isotonic_is_linear_between_and_flat_outside() {
        let c = Calibration::Isotonic { margins: vec![-1.0, 0.0, 2.0], probabilities: vec![0.1, 0.2, 0.6] };
        for (margin, expected) in
            [(-5.0, 0.1), (-1.0, 0.1), (-0.5, 0.15), (0.0, 0.2), (1.0, 0.4), (2.0, 0.6), (9.0, 0.6)]
        {
            assert!((probability(&c, margin) - expected).abs() < 1e-15, "{margin}");
        }
        let far = Calibration::Isotonic { margins: vec![-1e308, 1e308], probabilities: vec![0.25, 0.75] };
        assert_eq!(probability(&far, 0.0), 0.5);
    }

    #[test]
    fn no_margin_is_beyond_a_probability() {
        let calibrations = [
            Calibration::None,
            Calibration::Platt { slope: 1e6, intercept: -1e6 },
            Calibration::PriorShift { training: 1e-300, prior: LARGEST_PD },
            Calibration::Isotonic { margins: vec![-f64::MAX, f64::MAX], probabilities: vec![1e-300, 0.9] },
        ];
        for calibration in calibrations {
            let mut before = 0.0;
            for margin in
                [f64::NEG_INFINITY, -f64::MAX, -1e308, -1e-308, 0.0, 1e-308, 1e308, f64::MAX, f64::INFINITY]
            {
                let p = probability(&calibration, margin);
                assert!(p > 0.0 && p < 1.0 && p >= before, "{calibration:?} {margin}: {p}");
                before = p;
            }
        }
    }

    #[test]
    fn prior_shift_moves_the_odds_by_their_ratio() {
        let c = Calibration::PriorShift { training: 0.5, prior: 0.1 };
        assert!((probability(&c, 0.0) - 0.1).abs() < 1e-15);
        assert!((probability(&Calibration::Platt { slope: 2.0, intercept: 1.0 }, -0.5) - 0.5).abs() < 1e-15);
    }
}
