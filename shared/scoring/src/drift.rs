//! How far a table has moved from the data that a model was trained on: the population stability
//! index (PSI) of the score, and of each feature (also called CSI).

use crate::bundle::{Bundle, Distribution, Kind, Reference};
use serde::{Deserialize, Serialize};

/// A share below this counts as this much: the logarithm of an empty bin has no value.
pub const SMALLEST_SHARE: f64 = 1e-4;
/// A PSI from here on is worth watching.
pub const WATCH: f64 = 0.1;
/// A PSI from here on says that these are other applicants.
pub const SHIFTED: f64 = 0.25;

/// What a PSI means, by the usual rule of thumb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Below [`WATCH`].
    Stable,
    /// Below [`SHIFTED`].
    Watch,
    /// [`SHIFTED`] or above.
    Shifted,
}

/// The PSI of a feature or of the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Drift {
    /// Sum over bins of (now - then) x ln(now / then), missing being a bin.
    pub psi: f64,
    /// What that means.
    pub verdict: Verdict,
    /// Share without an answer in training.
    pub missing_then: f64,
    /// Share without an answer in the table.
    pub missing_now: f64,
}

/// Counts of a table's values over the bins of a reference distribution.
#[derive(Debug, Clone)]
pub struct Tally<'a> {
    reference: &'a Distribution,
    /// For a category or a boolean, the bin of each option's index.
    bins: Vec<Option<usize>>,
    /// One per bin, in the order of the reference's shares.
    counts: Vec<u64>,
    missing: u64,
}

impl<'a> Tally<'a> {
    /// Nothing counted yet. `codes` are the options' codes by index, none for a number.
    pub fn new(reference: &'a Distribution, codes: &[&str]) -> Tally<'a> {
        let (bins, count) = match reference {
            Distribution::Numeric { shares, .. } => (Vec::new(), shares.len()),
            Distribution::Categorical { shares, .. } => {
                let place = |code: &&str| shares.keys().position(|known| known == code);
                (codes.iter().map(place).collect(), shares.len())
            }
        };
        Tally { reference, bins, counts: vec![0; count], missing: 0 }
    }

    /// The bin of one number of a row. NaN is missing, and so is what the reference has no bin for.
    pub fn place(&self, x: f64) -> Option<usize> {
        place(self.reference, x, |option| self.bins.get(option).copied().flatten())
    }

    /// Counts one number of a row.
    pub fn count(&mut self, x: f64) {
        self.count_place(self.place(x), 1);
    }

    /// Counts so many at a place that [`Tally::place`] gave.
    pub fn count_place(&mut self, place: Option<usize>, times: u64) {
        match place.and_then(|bin| self.counts.get_mut(bin)) {
            Some(count) => *count += times,
            None => self.missing += times,
        }
    }

    /// How many were counted.
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.missing
    }

    /// How many were counted at each place that has any; the last one is what was missing.
    pub fn counts(&self) -> impl Iterator<Item = (Option<usize>, u64)> {
        let bins = self.counts.iter().enumerate().map(|(bin, count)| (Some(bin), *count));
        bins.chain([(None, self.missing)]).filter(|(_, count)| *count > 0)
    }

    /// Adds what another part of the table counted.
    pub fn add(&mut self, other: &Tally<'_>) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.missing += other.missing;
    }

    /// The PSI; `None` if nothing was counted.
    pub fn drift(&self) -> Option<Drift> {
        let rows = self.rows();
        if rows == 0 {
            return None;
        }
        let share = |count: u64| count as f64 / rows as f64;
        let (then, missing_then): (Vec<f64>, f64) = match self.reference {
            Distribution::Numeric { shares, missing, .. } => (shares.clone(), *missing),
            Distribution::Categorical { shares, missing } => (shares.values().copied().collect(), *missing),
        };
        let bins = then.iter().copied().zip(self.counts.iter().map(|count| share(*count)));
        let psi = psi(bins.chain([(missing_then, share(self.missing))]));
        let verdict = match psi {
            psi if psi < WATCH => Verdict::Stable,
            psi if psi < SHIFTED => Verdict::Watch,
            _ => Verdict::Shifted,
        };
        Some(Drift { psi, verdict, missing_then, missing_now: share(self.missing) })
    }
}

/// The bin of one number of a row; `bin_of` says which an option's index has.
fn place(reference: &Distribution, x: f64, bin_of: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    match reference {
        _ if x.is_nan() => None,
        Distribution::Numeric { edges, shares, .. } => {
            Some(edges.partition_point(|edge| *edge < x)).filter(|bin| *bin < shares.len())
        }
        Distribution::Categorical { .. } => bin_of(x as usize),
    }
}

/// Where one applicant is counted: the bin of the PD, if the bundle knows how it was spread, and of each feature that
/// it has a reference of, in the order of the schema. `None` is missing. What [`Tallies::count_places`] takes.
pub fn places(bundle: &Bundle, row: &[f64], pd: f64) -> Vec<Option<u16>> {
    let Reference { rows, score, features: references, .. } = &bundle.reference;
    let score = (*rows > 0).then(|| place(score, pd, |_| None));
    let features = bundle.schema.features.iter().zip(row).filter_map(|(feature, x)| {
        let reference = references.get(&feature.name)?;
        Some(place(reference, *x, |option| {
            let Distribution::Categorical { shares, .. } = reference else { return None };
            let code = match &feature.kind {
                Kind::Category { options, .. } => options.get(option)?.code.as_str(),
                _ => BOOLEANS.get(option)?,
            };
            shares.keys().position(|known| known == code)
        }))
    });
    score.into_iter().chain(features).map(|bin| bin.and_then(|bin| u16::try_from(bin).ok())).collect()
}

/// The codes of a boolean's options.
const BOOLEANS: [&str; 2] = ["false", "true"];

/// PSI of pairs of shares, then and now. A bin that is empty on both sides says nothing.
pub fn psi(shares: impl Iterator<Item = (f64, f64)>) -> f64 {
    shares
        .filter(|(then, now)| *then > 0.0 || *now > 0.0)
        .map(|(then, now)| (then.max(SMALLEST_SHARE), now.max(SMALLEST_SHARE)))
        .map(|(then, now)| (now - then) * libm::log(now / then))
        .sum()
}

/// Tallies of everything that a bundle has a reference of.
#[derive(Debug, Clone)]
pub struct Tallies<'a> {
    /// Of the PD; absent if the bundle does not know how it was spread.
    pub score: Option<Tally<'a>>,
    /// By feature, in the order of the schema, with its place there.
    pub features: Vec<(usize, &'a str, Tally<'a>)>,
}

impl<'a> Tallies<'a> {
    /// Nothing counted yet.
    pub fn new(bundle: &'a Bundle) -> Tallies<'a> {
        let reference = &bundle.reference;
        let features = bundle.schema.features.iter().enumerate().filter_map(|(index, feature)| {
            let codes: Vec<&str> = match &feature.kind {
                Kind::Category { options, .. } => options.iter().map(|option| option.code.as_str()).collect(),
                Kind::Boolean => BOOLEANS.to_vec(),
                Kind::Number { .. } | Kind::Integer { .. } => Vec::new(),
            };
            let tally = Tally::new(reference.features.get(&feature.name)?, &codes);
            Some((index, feature.name.as_str(), tally))
        });
        let features = features.collect();
        // An imported model may have been trained on rows that nobody has shown.
        let score = (reference.rows > 0).then(|| Tally::new(&reference.score, &[]));
        Tallies { score, features }
    }

    /// Counts one applicant: the numbers of a row.
    pub fn count(&mut self, row: &[f64], pd: f64) {
        if let Some(score) = &mut self.score {
            score.count(pd);
        }
        for (index, _, tally) in &mut self.features {
            tally.count(row.get(*index).copied().unwrap_or(f64::NAN));
        }
    }

    /// Counts one applicant whose places are known; whether they are places of this model.
    pub fn count_places(&mut self, places: &[Option<u16>]) -> bool {
        if places.len() != self.features.len() + usize::from(self.score.is_some()) {
            return false;
        }
        let score = self.score.iter_mut();
        let tallies = score.chain(self.features.iter_mut().map(|(_, _, tally)| tally));
        for (tally, place) in tallies.zip(places) {
            tally.count_place(place.map(usize::from), 1);
        }
        true
    }

    /// Adds what another part of the table counted.
    pub fn add(&mut self, other: &Tallies<'_>) {
        if let (Some(score), Some(more)) = (&mut self.score, &other.score) {
            score.add(more);
        }
        for ((_, _, tally), (_, _, more)) in self.features.iter_mut().zip(&other.features) {
            tally.add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psi_is_nothing_for_the_same_shares_and_finite_for_empty_bins() {
        assert_eq!(psi([(0.2, 0.2), (0.8, 0.8), (0.0, 0.0)].into_iter()), 0.0);
        let gone = psi([(0.5, 1.0), (0.5, 0.0)].into_iter());
        assert!(gone.is_finite() && gone > SHIFTED);
    }

    #[test]
    fn places_are_counted_as_the_row_is() {
        for bytes in [
            &include_bytes!("../../../models/bundles/reference-scorecard-1.json")[..],
            include_bytes!("../../../models/bundles/reference-boosted-2.json"),
        ] {
            let model = crate::Model::load(bytes).unwrap();
            let bundle = model.bundle();
            let (mut rows, mut placed) = (Tallies::new(bundle), Tallies::new(bundle));
            for golden in &bundle.golden {
                let mut row = model.encode(&golden.inputs).unwrap();
                for hidden in 0..=row.len() {
                    rows.count(&row, golden.probability);
                    assert!(placed.count_places(&places(bundle, &row, golden.probability)));
                    // Then the same applicant with one answer less.
                    if let Some(answer) = row.get_mut(hidden) {
                        *answer = f64::NAN;
                    }
                }
            }
            let counts = |tallies: &Tallies<'_>| -> Vec<Vec<_>> {
                let features = tallies.features.iter().map(|(_, _, tally)| tally);
                tallies.score.iter().chain(features).map(|tally| tally.counts().collect()).collect()
            };
            assert!(counts(&rows).len() > 5);
            assert_eq!(counts(&rows), counts(&placed));
            assert!(!placed.count_places(&[None]), "places of another model");
            assert_eq!(counts(&rows), counts(&placed));
        }
    }

    #[test]
    fn bins_hold_their_upper_edge() {
        let reference =
            Distribution::Numeric { edges: vec![1.0, 2.0], shares: vec![0.25, 0.25, 0.25], missing: 0.25 };
        let mut tally = Tally::new(&reference, &[]);
        for value in [1.0, 1.5, 2.5, f64::NAN] {
            tally.count(value);
        }
        assert_eq!(tally.drift().unwrap().psi, 0.0);
        tally.count(f64::NAN);
        assert!(tally.drift().unwrap().psi > 0.0);
    }
}
