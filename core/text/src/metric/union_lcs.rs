//! Which words of a sentence are on its longest common subsequence (LCS) with another, for ROUGE-Lsum. Of several
//! longest subsequences it selects the one that rouge-score's backtracking through the table of lengths yields, since
//! the union over sentences depends on the choice.
//!
//! The table is stored as one bit per cell: whether the length equals that of the previous column. Rows come from the
//! recurrence of Hyyrö (2004), as in [`super::rouge`]. Of a large table only one row in every `stride` is kept, and
//! those between are recomputed while backtracking, so memory grows with the square root of the number of rows, times
//! the number of columns.

use std::iter::zip;

const BLOCK: usize = 64;
/// Tables of up to this many 64-bit words (512 KiB) are kept whole: enough for two sentences of 2,000 words.
const WHOLE: usize = 1 << 16;

/// Buffers that are reused from sentence to sentence.
#[derive(Debug, Clone, Default)]
pub(super) struct UnionLcs {
    /// For each word, the columns of the current block where it occurs.
    masks: Vec<u64>,
    /// For each row, the carry of its addition into the next block.
    carries: Vec<bool>,
    /// Row 0 and every `stride`th after it.
    kept: Vec<u64>,
    /// All rows from one kept row to the next.
    rows: Vec<u64>,
}

impl UnionLcs {
    /// Sets `union[i]` for every word `i` of `target` that is on its LCS with `prediction`. Words are numbers below
    /// `words`; larger numbers in the prediction are words that the target lacks.
    pub fn mark(&mut self, target: &[u32], prediction: &[u32], words: usize, union: &mut [bool]) {
        let whole = target.len().saturating_mul(prediction.len().div_ceil(BLOCK)) <= WHOLE;
        let stride = if whole { target.len() } else { target.len().isqrt() };
        self.mark_by(stride.max(1), target, prediction, words, union);
    }

    fn mark_by(&mut self, stride: usize, target: &[u32], prediction: &[u32], words: usize, union: &mut [bool]) {
        let Self { masks, carries, kept, rows } = self;
        masks.clear();
        masks.resize(words, 0);
        let blocks = prediction.len().div_ceil(BLOCK);
        kept.clear();
        kept.resize(target.len().div_ceil(stride) * blocks, u64::MAX);
        if target.len() > stride {
            let mut bottom = vec![u64::MAX; blocks];
            advance(&mut bottom, target, prediction, masks, carries, |row, block, bits| {
                if row % stride == 0
                    && let Some(place) = kept.get_mut(row / stride * blocks + block)
                {
                    *place = bits;
                }
            });
        }
        let (mut i, mut j) = (target.len(), prediction.len());
        for first in (0..target.len()).step_by(stride).rev() {
            let columns = j.div_ceil(BLOCK).min(blocks);
            let top = &mut kept[first / stride * blocks..][..columns];
            rows.clear();
            rows.extend_from_slice(top);
            rows.resize((i - first + 1) * columns, 0);
            advance(top, &target[first..i], &prediction[..j], masks, carries, |row, block, bits| {
                rows[row * columns + block] = bits;
            });
            let table = Table { rows, columns };
            let walked = table.walk(&target[first..i], &prediction[..j], &mut union[first..i]);
            (i, j) = (first, walked);
        }
    }
}

/// Advances a row of the table over the words of `target`; `store` is called with (row, block, bits) for each row from
/// 1 on.
fn advance(
    row: &mut [u64],
    target: &[u32],
    prediction: &[u32],
    masks: &mut [u64],
    carries: &mut Vec<bool>,
    mut store: impl FnMut(usize, usize, u64),
) {
    carries.clear();
    carries.resize(target.len(), false);
    for (block, (columns, bits)) in zip(prediction.chunks(BLOCK), row).enumerate() {
        for (column, &word) in columns.iter().enumerate() {
            if let Some(mask) = masks.get_mut(word as usize) {
                *mask |= 1 << column;
            }
        }
        for (at, (&word, carry)) in zip(target, &mut *carries).enumerate() {
            let matches = masks.get(word as usize).copied().unwrap_or(0);
            let (sum, over) = bits.overflowing_add(*bits & matches);
            let (sum, over_again) = sum.overflowing_add(u64::from(*carry));
            *carry = over || over_again;
            *bits = sum | (*bits & !matches);
            store(at + 1, block, *bits);
        }
        for &word in columns {
            if let Some(mask) = masks.get_mut(word as usize) {
                *mask = 0;
            }
        }
    }
}

/// Rows of bits; row 0 is the one above the first word.
struct Table<'a> {
    rows: &'a [u64],
    /// Number of blocks of 64 columns in a row.
    columns: usize,
}

impl Table<'_> {
    /// Backtracks from the last word of both to the first row or column; returns the column where it ends.
    fn walk(&self, target: &[u32], prediction: &[u32], union: &mut [bool]) -> usize {
        let mut j = prediction.len();
        for i in (1..=target.len()).rev() {
            // Go left only if the length to the left equals that of this cell and the one above is smaller, and up if
            // both are equal. `grows` stays true while going left.
            let grows = self.same(i - 1, j) > self.same(i, j);
            while grows && j > 0 && target[i - 1] != prediction[j - 1] && self.bit(i, j - 1) {
                j -= 1;
            }
            if j == 0 {
                break;
            }
            if target[i - 1] == prediction[j - 1] {
                union[i - 1] = true;
                j -= 1;
            }
        }
        j
    }

    fn bit(&self, row: usize, column: usize) -> bool {
        self.rows[row * self.columns + column / BLOCK] >> (column % BLOCK) & 1 == 1
    }

    /// How many of the first `columns` columns have the same length as the previous one, that is, do not add to the
    /// length.
    fn same(&self, row: usize, columns: usize) -> usize {
        let row = &self.rows[row * self.columns..][..self.columns];
        let (blocks, rest) = (columns / BLOCK, columns % BLOCK);
        let whole: u32 = row[..blocks].iter().map(|bits| bits.count_ones()).sum();
        let partial = if rest == 0 { 0 } else { (row[blocks] & ((1 << rest) - 1)).count_ones() };
        (whole + partial) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The full table and the backtracking, as in rouge-score.
    fn by_table(target: &[u32], prediction: &[u32], union: &mut [bool]) {
        let mut table = vec![vec![0; prediction.len() + 1]; target.len() + 1];
        for i in 1..=target.len() {
            for j in 1..=prediction.len() {
                table[i][j] = if target[i - 1] == prediction[j - 1] {
                    table[i - 1][j - 1] + 1
                } else {
                    table[i - 1][j].max(table[i][j - 1])
                };
            }
        }
        let (mut i, mut j) = (target.len(), prediction.len());
        while i > 0 && j > 0 {
            if target[i - 1] == prediction[j - 1] {
                union[i - 1] = true;
                i -= 1;
                j -= 1;
            } else if table[i][j - 1] > table[i - 1][j] {
                j -= 1;
            } else {
                i -= 1;
            }
        }
    }

    #[test]
    fn equals_the_walk_through_the_table() {
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut lcs = UnionLcs::default();
        let edges = [0, 1, 2, 63, 64, 65, 128, 200, 300];
        for round in 0..600 {
            let mut size = || if round % 2 == 0 { edges[random(edges.len())] } else { random(150) };
            let (m, n) = (size(), size());
            // With many distinct words, whole blocks have no match, and carries pass through them.
            let words = [1, 2, 3, 10, 60, 200, 500][round % 7];
            let target: Vec<u32> = (0..m).map(|_| random(words) as u32).collect();
            // Some words of the prediction do not occur in the target.
            let prediction: Vec<u32> = (0..n).map(|_| random(words + 2) as u32).collect();
            let mut expected = vec![false; m];
            by_table(&target, &prediction, &mut expected);
            for stride in [1, 2, 7, m.isqrt(), m, m + 1] {
                let mut found = vec![false; m];
                lcs.mark_by(stride.max(1), &target, &prediction, words, &mut found);
                assert_eq!(found, expected, "{m} rows, {n} columns, {words} words, stride {stride}");
            }
            let mut found = vec![false; m];
            lcs.mark(&target, &prediction, words, &mut found);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_large_table_is_walked_in_little_memory() {
        let words = 40_000;
        let target: Vec<u32> = (0..words).collect();
        let prediction: Vec<u32> = (0..words).map(|word| if word % 4 == 3 { u32::MAX } else { word }).collect();
        let mut lcs = UnionLcs::default();
        let mut union = vec![false; target.len()];
        lcs.mark(&target, &prediction, target.len(), &mut union);
        assert!(union.iter().zip(&target).all(|(&on, word)| on == (word % 4 != 3)));
        let bytes = 8 * (lcs.masks.capacity() + lcs.kept.capacity() + lcs.rows.capacity()) + lcs.carries.capacity();
        assert!(bytes < 8 << 20, "{bytes} bytes; all bits of the table are 200 MB");
    }
}
