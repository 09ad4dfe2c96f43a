//! Many rows at once.
//!
//! A tree is evaluated for a block of 256 rows with one bit per row: the rows that reach a split are
//! a bit set, and `reached AND answer`, `reached AND NOT answer` are those that reach its children.
//! At the end each row's bit stands in the set of exactly one leaf. This is QuickScorer (Lucchese et
//! al., SIGIR 2015) turned on its side: there a bit is a leaf and a word belongs to a row, and every
//! false test costs an AND for every row; here an AND serves 256 rows and branches never depend on
//! them.

use super::real::Real;
use super::tests::{BLOCK, Bits, BlockAnswers, RowOfBlock, WORDS};
use super::{Ensemble, Place, TreeSpan};

/// Trees with more leaves are walked row by row: a sweep visits all splits, a walk only those of a
/// path. Leaf numbers fit a byte.
const MAX_LEAVES: usize = 256;
/// A power of two, so that an index can be masked instead of checked.
const PLACES: usize = 2 * MAX_LEAVES;

/// What a sweep writes to, kept from tree to tree.
struct Scratch {
    reached: [Bits; PLACES],
    leaf_of: [u8; BLOCK],
}

impl<T: Real> Ensemble<T> {
    pub(super) fn margins(&self, rows: &[f64], width: usize, out: &mut Vec<f64>) {
        let mut answers = BlockAnswers::default();
        let mut scratch = Scratch { reached: [[0; WORDS]; PLACES], leaf_of: [0; BLOCK] };
        for block in rows.chunks(BLOCK * width) {
            self.questions.answer_block(block, width, &mut answers);
            let mut sums = [self.begin(); BLOCK];
            for tree in &self.trees {
                self.add(tree, block, width, &answers, &mut scratch, &mut sums);
            }
            out.extend(sums.iter().take(block.len() / width).map(|&sum| self.finish(sum)));
        }
    }

    /// Adds a tree to the sums of a block.
    fn add(
        &self,
        tree: &TreeSpan,
        block: &[f64],
        width: usize,
        answers: &BlockAnswers,
        scratch: &mut Scratch,
        sums: &mut [T; BLOCK],
    ) {
        let leaves = self.leaves_of(tree);
        let rows = || block.chunks_exact(width);
        if leaves.len() > MAX_LEAVES {
            for (r, (sum, row)) in sums.iter_mut().zip(rows()).enumerate() {
                let [leaf, ..] = self.walk(std::slice::from_ref(tree), &RowOfBlock { answers, row: r });
                *sum = *sum + self.value(tree, leaf, row);
            }
            return;
        }
        let splits = self.places_of(tree).get(..tree.splits as usize).unwrap_or_default();
        sweep(splits, &answers.0, scratch);
        if tree.linear {
            for ((sum, leaf), row) in sums.iter_mut().zip(&scratch.leaf_of).zip(rows()) {
                *sum = *sum + self.value(tree, *leaf as usize, row);
            }
            return;
        }
        // A table that a byte cannot point out of.
        let mut table = [T::default(); MAX_LEAVES];
        for (slot, leaf) in table.iter_mut().zip(leaves) {
            *slot = *leaf;
        }
        for (sum, leaf) in sums.iter_mut().zip(&scratch.leaf_of) {
            *sum = *sum + entry(&table, *leaf);
        }
    }
}

/// A byte cannot point out of 256 entries.
#[allow(clippy::indexing_slicing)]
fn entry<T: Copy>(table: &[T; MAX_LEAVES], at: u8) -> T {
    table[at as usize]
}

/// Finds the leaf of each row of a block.
fn sweep(splits: &[Place], answers: &[Bits], scratch: &mut Scratch) {
    let Scratch { reached, leaf_of } = scratch;
    *place(reached, 0) = [u64::MAX; WORDS];
    for (k, split) in splits.iter().enumerate() {
        let here = *place(reached, k);
        let Some(answer) = answers.get(split.test as usize) else { return };
        let (mut left, mut right) = (here, here);
        for ((left, right), answer) in left.iter_mut().zip(&mut right).zip(answer) {
            *left &= answer;
            *right &= !answer;
        }
        *place(reached, split.left as usize) = left;
        *place(reached, split.right as usize) = right;
    }
    let leaves = reached.get_mut(splits.len()..=2 * splits.len()).unwrap_or_default();
    number(leaves, leaf_of);
}

/// An index that is masked cannot point out of the array.
#[allow(clippy::indexing_slicing)]
fn place(reached: &mut [Bits; PLACES], at: usize) -> &mut Bits {
    &mut reached[at % PLACES]
}

/// From one bit set per leaf to the number of each row's leaf. Bit b of the number is the union of
/// the leaves that have it: with neighbours joined b times, the odd ones.
fn number(leaves: &mut [Bits], leaf_of: &mut [u8; BLOCK]) {
    let mut planes = [[0; 8]; WORDS];
    let mut count = leaves.len();
    for b in 0..8 {
        if count < 2 {
            break;
        }
        let mut plane = [0; WORDS];
        for i in 0..count.div_ceil(2) {
            let even = leaves.get(2 * i).copied().unwrap_or_default();
            let odd =
                if 2 * i + 1 < count { leaves.get(2 * i + 1).copied() } else { None }.unwrap_or_default();
            let mut joined = even;
            for ((plane, joined), odd) in plane.iter_mut().zip(&mut joined).zip(odd) {
                *plane |= odd;
                *joined |= odd;
            }
            if let Some(slot) = leaves.get_mut(i) {
                *slot = joined;
            }
        }
        count = count.div_ceil(2);
        for (planes, word) in planes.iter_mut().zip(plane) {
            if let Some(slot) = planes.get_mut(b) {
                *slot = word;
            }
        }
    }
    for (planes, out) in planes.iter().zip(leaf_of.chunks_exact_mut(64)) {
        for (byte, out) in out.chunks_exact_mut(8).enumerate() {
            let gathered = planes
                .iter()
                .enumerate()
                .fold(0, |sum, (b, plane)| sum | (plane >> (8 * byte) & 0xff) << (8 * b));
            out.copy_from_slice(&transpose(gathered).to_le_bytes());
        }
    }
}

/// Transposes 8 x 8 bits: bit r of byte b becomes bit b of byte r (Warren, Hacker's Delight, 7-3).
fn transpose(mut x: u64) -> u64 {
    for (shift, mask) in
        [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)]
    {
        let swapped = (x ^ (x >> shift)) & mask;
        x ^= swapped ^ (swapped << shift);
    }
    x
}
