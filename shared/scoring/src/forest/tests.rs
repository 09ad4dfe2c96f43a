//! What the splits of an ensemble ask, and the answers of rows.
//!
//! Answers are numbered so that those of one column, a feature with one rule for missing values,
//! stand together in the order of their thresholds. Then `x < threshold` is false up to some
//! threshold and true from there on, and one binary search answers all of them.

use super::real::Real;
use crate::bundle::{self, Feature, Kind, TreeArithmetic, TreeEnsemble};

/// LightGBM's `kZeroThreshold`, an f32.
const ZERO: f64 = 1e-35_f32 as f64;

/// Rows of a block, 64 to a word.
pub(super) const WORDS: usize = 4;
pub(super) const BLOCK: usize = 64 * WORDS;
/// One bit per row of a block.
pub(super) type Bits = [u64; WORDS];

/// Everything that the splits ask.
#[derive(Debug, Clone)]
pub(super) struct Questions<T> {
    columns: Vec<Column<T>>,
    /// How many answers there are.
    count: usize,
}

/// The questions about one feature that treat missing values alike.
#[derive(Debug, Clone)]
struct Column<T> {
    feature: usize,
    missing_left: bool,
    /// Number of the first answer.
    first: usize,
    ask: Ask<T>,
}

#[derive(Debug, Clone)]
enum Ask<T> {
    /// Ascending; x < threshold goes left.
    Below { thresholds: Vec<T>, zero_missing: bool },
    /// For each question the codes that go right, in `words` words of 64 codes.
    Among { sets: Vec<u64>, words: usize, codes: usize, strangers_left: bool },
}

/// From the signed numbers of a document to the numbers of answers.
pub(super) struct Numbers(Vec<[u32; 2]>);

impl Numbers {
    /// The answer that a split with this number needs.
    pub(super) fn of(&self, number: i32) -> u32 {
        let pair = (number.unsigned_abs() as usize).checked_sub(1).and_then(|i| self.0.get(i));
        pair.map_or(u32::MAX, |[left, right]| if number > 0 { *left } else { *right })
    }
}

/// The answers of a row.
pub(super) trait Answers {
    /// 0 if it goes left at a question, 16 if right: how far to shift two halves, of which the lower
    /// is for the left, to have the right one below.
    fn shift(&self, test: u32) -> u32;

    /// 1 if it goes left, 0 if right.
    fn left(&self, test: u32) -> f64 {
        f64::from(1 - (self.shift(test) >> 4))
    }
}

const LEFT: u8 = 0;
const RIGHT: u8 = 16;

/// The answers of one row: [`LEFT`] or [`RIGHT`].
pub(super) struct RowAnswers(Vec<u8>);

impl Answers for RowAnswers {
    fn shift(&self, test: u32) -> u32 {
        u32::from(self.0.get(test as usize).copied().unwrap_or(RIGHT))
    }
}

/// The answers of a block of rows: a 1 for left, bit r for row r.
#[derive(Default)]
pub(super) struct BlockAnswers(pub(super) Vec<Bits>);

/// One row of a block.
pub(super) struct RowOfBlock<'a> {
    pub(super) answers: &'a BlockAnswers,
    pub(super) row: usize,
}

impl Answers for RowOfBlock<'_> {
    fn shift(&self, test: u32) -> u32 {
        let word = self.answers.0.get(test as usize).and_then(|bits| bits.get(self.row / 64));
        word.map_or(u32::from(RIGHT), |word| (!word >> (self.row % 64) & 1) as u32 * u32::from(RIGHT))
    }
}

impl<T: Real> Questions<T> {
    /// Numbers the questions that some split asks.
    pub(super) fn compile(ensemble: &TreeEnsemble, features: &[Feature]) -> (Self, Numbers) {
        let total: usize = ensemble.tests.iter().map(bundle::Tests::len).sum();
        // Which of [missing goes left, missing goes right] are asked, by test.
        let mut asked = vec![[false; 2]; total];
        for number in ensemble.trees.iter().flat_map(|tree| &tree.nodes) {
            let at = (number.unsigned_abs() as usize).checked_sub(1);
            if let Some([left, right]) = at.and_then(|at| asked.get_mut(at)) {
                *(if *number > 0 { left } else { right }) = true;
            }
        }
        let mut questions = Questions { columns: Vec::new(), count: 0 };
        let mut numbers = vec![[u32::MAX; 2]; total];
        let mut start = 0;
        for tests in &ensemble.tests {
            let range = start..start + tests.len();
            start = range.end;
            for side in [0, 1] {
                // Positions within `tests` that are asked with this rule for missing values.
                let mut chosen = Vec::new();
                let slots = numbers.get_mut(range.clone()).unwrap_or_default();
                for (at, (slot, asked)) in
                    slots.iter_mut().zip(asked.get(range.clone()).unwrap_or_default()).enumerate()
                {
                    if asked.get(side) == Some(&true)
                        && let Some(slot) = slot.get_mut(side)
                    {
                        *slot = (questions.count + chosen.len()) as u32;
                        chosen.push(at);
                    }
                }
                if !chosen.is_empty() {
                    let column =
                        Column::compile(ensemble, features, tests, &chosen, side == 0, questions.count);
                    questions.count += chosen.len();
                    questions.columns.push(column);
                }
            }
        }
        (questions, Numbers(numbers))
    }

    /// The feature that an answer is about.
    pub(super) fn feature_of(&self, test: u32) -> usize {
        let after = self.columns.partition_point(|column| column.first <= test as usize);
        after.checked_sub(1).and_then(|at| self.columns.get(at)).map_or(usize::MAX, |column| column.feature)
    }

    /// Answers everything for one row.
    pub(super) fn answer(&self, row: &[f64]) -> RowAnswers {
        let mut answers = vec![RIGHT; self.count];
        for column in &self.columns {
            let own = answers.get_mut(column.first..).unwrap_or_default();
            let x = row.get(column.feature).copied().unwrap_or(f64::NAN);
            match &column.ask {
                Ask::Below { thresholds, .. } => {
                    let from = column.first_true(x);
                    own.get_mut(from..thresholds.len()).unwrap_or_default().fill(LEFT);
                }
                Ask::Among { sets, words, .. } => {
                    let code = column.code(x);
                    for (answer, set) in own.iter_mut().zip(sets.chunks_exact(*words)) {
                        *answer = if column.left_of(code, set) { LEFT } else { RIGHT };
                    }
                }
            }
        }
        RowAnswers(answers)
    }

    /// Answers everything for up to [`BLOCK`] rows of `width` numbers.
    pub(super) fn answer_block(&self, rows: &[f64], width: usize, answers: &mut BlockAnswers) {
        answers.0.clear();
        answers.0.resize(self.count, [0; WORDS]);
        for column in &self.columns {
            let own = answers.0.get_mut(column.first..).unwrap_or_default();
            let values =
                rows.chunks_exact(width).map(|row| row.get(column.feature).copied().unwrap_or(f64::NAN));
            match &column.ask {
                Ask::Below { thresholds, .. } => {
                    let own = own.get_mut(..thresholds.len()).unwrap_or_default();
                    // A row's bit where its answers turn true, then carried on to those after it.
                    for (r, x) in values.enumerate() {
                        if let Some(word) = own.get_mut(column.first_true(x)).and_then(|b| b.get_mut(r / 64))
                        {
                            *word |= 1 << (r % 64);
                        }
                    }
                    let mut carried = [0; WORDS];
                    for bits in own {
                        for (bits, carried) in bits.iter_mut().zip(&mut carried) {
                            *bits |= *carried;
                            *carried = *bits;
                        }
                    }
                }
                Ask::Among { sets, words, .. } => {
                    for (r, x) in values.enumerate() {
                        let code = column.code(x);
                        for (bits, set) in own.iter_mut().zip(sets.chunks_exact(*words)) {
                            if let Some(word) = bits.get_mut(r / 64) {
                                *word |= u64::from(column.left_of(code, set)) << (r % 64);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a column sees of a category.
#[derive(Clone, Copy)]
enum Code {
    /// One of the options.
    Option(usize),
    /// The same answer to all questions.
    Always(bool),
}

impl<T: Real> Column<T> {
    fn compile(
        ensemble: &TreeEnsemble,
        features: &[Feature],
        tests: &bundle::Tests,
        chosen: &[usize],
        missing_left: bool,
        first: usize,
    ) -> Self {
        let lightgbm = ensemble.arithmetic == TreeArithmetic::Lightgbm;
        match tests {
            bundle::Tests::Thresholds { feature, zero_missing, thresholds } => {
                let thresholds = chosen.iter().filter_map(|&at| thresholds.get(at)).map(|&threshold| {
                    // One comparison for both libraries: x <= t is x < the number after t.
                    T::of(if lightgbm { threshold.next_up() } else { threshold })
                });
                let ask = Ask::Below { thresholds: thresholds.collect(), zero_missing: *zero_missing };
                Column { feature: *feature as usize, missing_left, first, ask }
            }
            bundle::Tests::Categories { feature, right_codes } => {
                let codes = match features.get(*feature as usize).map(|feature| &feature.kind) {
                    Some(Kind::Category { options, .. }) => options.len(),
                    _ => 0,
                };
                let words = codes.div_ceil(64).max(1);
                let mut sets = vec![0u64; words * chosen.len()];
                for (set, &at) in sets.chunks_exact_mut(words).zip(chosen) {
                    for &code in right_codes.get(at).map(Vec::as_slice).unwrap_or_default() {
                        if let Some(word) = set.get_mut(code as usize / 64) {
                            *word |= 1 << (code % 64);
                        }
                    }
                }
                let ask = Ask::Among { sets, words, codes, strangers_left: !lightgbm };
                Column { feature: *feature as usize, missing_left, first, ask }
            }
        }
    }

    /// The first of the thresholds that x is below; the answers from there on are true.
    fn first_true(&self, x: f64) -> usize {
        let Ask::Below { thresholds, zero_missing } = &self.ask else { return 0 };
        let x = T::of(x);
        if x.is_missing() || (*zero_missing && x.wide().abs() <= ZERO) {
            return if self.missing_left { 0 } else { thresholds.len() };
        }
        // A binary search without a branch: the answer is one of `size` places from `base` on.
        let (mut base, mut size) = (0, thresholds.len());
        while size > 1 {
            let half = size / 2;
            let right = thresholds.get(base + half - 1).is_some_and(|threshold| *threshold <= x);
            base = if right { base + half } else { base };
            size -= half;
        }
        base + usize::from(thresholds.get(base).is_some_and(|threshold| *threshold <= x))
    }

    fn code(&self, x: f64) -> Code {
        let Ask::Among { codes, strangers_left, .. } = &self.ask else { return Code::Always(false) };
        if x.is_nan() {
            return Code::Always(self.missing_left);
        }
        let x = T::of(x).wide();
        // XGBoost takes what is below 0 for no code, LightGBM what truncates to below 0.
        let lowest = if *strangers_left { 0.0 } else { (-1.0f64).next_up() };
        if x >= lowest && x < *codes as f64 {
            Code::Option(x as usize)
        } else {
            Code::Always(*strangers_left)
        }
    }

    fn left_of(&self, code: Code, set: &[u64]) -> bool {
        match code {
            Code::Always(left) => left,
            Code::Option(code) => set.get(code / 64).is_none_or(|word| word >> (code % 64) & 1 == 0),
        }
    }
}
