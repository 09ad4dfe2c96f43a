//! Figures of merit of a PD against what happened.

use serde::Serialize;

/// The confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// One applicant: what was said, and what happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Probability of default, inside (0, 1).
    pub pd: f64,
    /// Whether it came to a default.
    pub bad: bool,
}

/// How well PDs tell defaults apart and how right they are. Definitions as in scikit-learn and SciPy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Area under the ROC curve: the chance that a default has the higher PD, ties counting half.
    pub auc: f64,
    /// Kolmogorov-Smirnov: the largest distance between the two distributions of PDs.
    pub ks: f64,
    /// 2 x AUC - 1.
    pub gini: f64,
    /// Mean squared error of the PD.
    pub brier: f64,
    /// Mean negative log-likelihood, in nats.
    pub log_loss: f64,
}

/// How well a ranking tells defaults apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranking {
    /// As in [`Figures::auc`].
    pub auc: f64,
    /// As in [`Figures::ks`].
    pub ks: f64,
    /// Half the share of pairs of a default and a non-default that share a place. Where a place stands
    /// for a bin of PDs, the AUC of the PDs themselves lies at most this far from `auc`.
    pub tied: f64,
}

/// Ranks places of equal PD, given from the lowest as their non-defaults and defaults; `None` unless
/// there are both.
pub fn ranking(places: &[(u64, u64)]) -> Option<Ranking> {
    let sum = |of: fn(&(u64, u64)) -> u64| places.iter().map(of).sum::<u64>() as f64;
    let (goods, bads) = (sum(|place| place.0), sum(|place| place.1));
    if bads == 0.0 || goods == 0.0 {
        return None;
    }
    // Pairs won by defaults over the non-defaults below them.
    let (mut won, mut tied, mut ks) = (0.0, 0.0, 0.0f64);
    let (mut goods_below, mut bads_below) = (0.0, 0.0);
    for (goods_here, bads_here) in places.iter().map(|(good, bad)| (*good as f64, *bad as f64)) {
        won += bads_here * (goods_below + goods_here / 2.0);
        tied += bads_here * goods_here / 2.0;
        goods_below += goods_here;
        bads_below += bads_here;
        ks = ks.max((goods_below / goods - bads_below / bads).abs());
    }
    let pairs = bads * goods;
    Some(Ranking { auc: won / pairs, ks, tied: tied / pairs })
}

/// All figures; `None` unless there are both defaults and non-defaults.
pub fn figures(outcomes: &[Outcome]) -> Option<Figures> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_unstable_by(|a, b| a.pd.total_cmp(&b.pd));
    let places: Vec<(u64, u64)> = sorted
        .chunk_by(|a, b| a.pd == b.pd)
        .map(|run| {
            let bads = run.iter().filter(|outcome| outcome.bad).count() as u64;
            (run.len() as u64 - bads, bads)
        })
        .collect();
    let Ranking { auc, ks, .. } = ranking(&places)?;
    let mean = |of: fn(&Outcome) -> f64| sorted.iter().map(of).sum::<f64>() / sorted.len() as f64;
    Some(Figures {
        auc,
        ks,
        gini: 2.0 * auc - 1.0,
        brier: mean(|o| (o.pd - if o.bad { 1.0 } else { 0.0 }).powi(2)),
        log_loss: mean(|o| if o.bad { -libm::log(o.pd) } else { -libm::log1p(-o.pd) }),
    })
}

/// Jeffreys' interval of a share: quantiles of Beta(bads + 1/2, rows - bads + 1/2), and 0 or 1 where
/// there are no or only defaults (Brown, Cai and DasGupta, "Interval estimation for a binomial
/// proportion", 2001).
pub fn jeffreys(bads: u64, rows: u64) -> (f64, f64) {
    let (a, b) = (bads as f64 + 0.5, rows.saturating_sub(bads) as f64 + 0.5);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let lower = if bads == 0 { 0.0 } else { beta_quantile(a, b, tail) };
    let upper = if bads >= rows { 1.0 } else { beta_quantile(a, b, 1.0 - tail) };
    (lower, upper)
}

/// Where the cumulative distribution of Beta(a, b) reaches p, by bisection: it rises, so that this
/// cannot miss, and ends when there is no double between.
fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    let (mut low, mut high) = (0.0f64, 1.0f64);
    loop {
        let middle = (low + high) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if incomplete_beta(a, b, middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The cumulative distribution of Beta(a, b) at x in (0, 1): the continued fraction 6.4.5 of Press et
/// al., Numerical Recipes, by Lentz's method, on the side where it converges fast.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    let scale =
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x);
    if x < (a + 1.0) / (a + b + 2.0) {
        libm::exp(scale) * fraction(a, b, x) / a
    } else {
        1.0 - libm::exp(scale) * fraction(b, a, 1.0 - x) / b
    }
}

fn fraction(a: f64, b: f64, x: f64) -> f64 {
    // Keeps Lentz's divisors away from 0.
    let nonzero = |y: f64| if y.abs() < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { y };
    let (mut c, mut d) = (1.0, 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = d;
    // It takes about sqrt(max(a, b)) steps: enough for any table.
    for step in 1..1_000_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / nonzero(1.0 + term * d);
            c = nonzero(1.0 + term / c);
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_need_both_outcomes() {
        assert_eq!(figures(&[]), None);
        assert_eq!(figures(&[Outcome { pd: 0.5, bad: true }]), None);
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_ties_count_half() {
        let row = |pd, bad| Outcome { pd, bad };
        let rows = [row(0.1, false), row(0.5, true), row(0.5, false), row(0.9, true)];
        let mut backwards = rows;
        backwards.reverse();
        assert_eq!(figures(&rows), figures(&backwards));
        let found = figures(&rows).unwrap();
        // Pairs: (0.5, 0.1) and both of 0.9 won, (0.5, 0.5) half.
        assert_eq!(found.auc, 3.5 / 4.0);
        assert_eq!(found.ks, 0.5);
    }

    #[test]
    fn what_bins_hide_is_said() {
        let exact = ranking(&[(1, 0), (0, 1), (2, 0), (0, 2)]).unwrap();
        assert_eq!(exact.tied, 0.0);
        let binned = ranking(&[(1, 1), (2, 2)]).unwrap();
        assert!((exact.auc - binned.auc).abs() <= binned.tied && binned.tied > 0.0);
    }

    #[test]
    fn an_interval_reaches_the_end_only_when_nothing_contradicts_it() {
        assert_eq!(jeffreys(0, 10).0, 0.0);
        assert_eq!(jeffreys(10, 10).1, 1.0);
        assert_eq!(jeffreys(0, 0), (0.0, 1.0));
        let (low, high) = jeffreys(3, 10);
        assert!(low > 0.0 && low < 0.3 && high > 0.3 && high < 1.0);
    }
}
