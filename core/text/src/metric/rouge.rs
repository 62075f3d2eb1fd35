//! ROUGE-L on token ids: the longest common subsequence (LCS) by the bit-parallel recurrence of Crochemore et al.
//! (2001) and Hyyrö (2004), with 64 tokens of the pattern per machine word. With tokens from
//! [`crate::word::rouge_tokens`] the values equal those of rouge-score without stemming.

const BLOCK: usize = 64;

/// ROUGE of a prediction against a target, each in [0, 1].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rouge {
    /// Length of the LCS (or number of matches) divided by the number of tokens (or n-grams) in the prediction.
    pub precision: f64,
    /// The same divided by the number in the target.
    pub recall: f64,
    /// Harmonic mean of the two; symmetric in prediction and target.
    pub f: f64,
}

impl Rouge {
    /// The scores for a common subsequence of length `lcs` of a target of `x` tokens and a prediction of `y` tokens; 0
    /// if either is empty.
    #[must_use]
    pub fn from_lcs(lcs: usize, x: usize, y: usize) -> Self {
        if x == 0 || y == 0 {
            return Self::default();
        }
        // 2 LCS / (x + y) equals 2PR / (P + R) but is rounded only once, so that 6/8 is exactly 0.75.
        let [l, x, y] = [lcs, x, y].map(|n| n as f64);
        Self { precision: l / y, recall: l / x, f: 2.0 * l / (x + y) }
    }
}

/// ROUGE-L of prediction `y` against target `x`, as token ids.
#[must_use]
pub fn rouge_l(x: &[u32], y: &[u32]) -> Rouge {
    Rouge::from_lcs(lcs_row(&Pattern::new(x), y), x.len(), y.len())
}

/// A token sequence prepared for comparison with many others.
#[derive(Debug, Clone)]
pub struct Pattern {
    blocks: Vec<Block>,
    len: usize,
}

/// Up to 64 tokens, as an open-addressing table from a token to a bit mask of its positions.
#[derive(Debug, Clone)]
struct Block {
    /// (token, positions); an entry without positions is free.
    table: Vec<(u32, u64)>,
    shift: u32,
    len: usize,
}

impl Block {
    fn new(tokens: &[u32]) -> Self {
        let size = (tokens.len() * 4).next_power_of_two().max(16);
        let mut block = Self { table: vec![(0, 0); size], shift: 32 - size.trailing_zeros(), len: tokens.len() };
        for (position, &token) in tokens.iter().enumerate() {
            let at = block.entry(token);
            block.table[at].0 = token;
            block.table[at].1 |= 1 << position;
        }
        block
    }

    /// Index of the token's entry, or of the free entry where it would be inserted. The table is never more than a
    /// quarter full.
    fn entry(&self, token: u32) -> usize {
        let wrap = self.table.len() - 1;
        let mut at = (token.wrapping_mul(0x9E37_79B1) >> self.shift) as usize & wrap;
        loop {
            let (key, positions) = self.table[at];
            if positions == 0 || key == token {
                return at;
            }
            at = (at + 1) & wrap;
        }
    }

    fn positions(&self, token: u32) -> u64 {
        self.table[self.entry(token)].1
    }

    /// Number of zeros among the low `len` bits: this block's contribution to the length of the common subsequence.
    fn zeros(&self, row: u64) -> usize {
        let used = if self.len == BLOCK { u64::MAX } else { (1 << self.len) - 1 };
        (!row & used).count_ones() as usize
    }
}

impl Pattern {
    /// Prepares a sequence; memory is linear in its length.
    #[must_use]
    pub fn new(tokens: &[u32]) -> Self {
        Self { blocks: tokens.chunks(BLOCK).map(Block::new).collect(), len: tokens.len() }
    }

    /// Number of tokens in the sequence.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the sequence has no tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Length of the longest common subsequence of the pattern and `y`. Time is proportional to (pattern length / 64 + 1) *
/// length of `y`.
#[must_use]
pub fn lcs_row(pattern: &Pattern, y: &[u32]) -> usize {
    if let [block] = pattern.blocks.as_slice() {
        let mut row = u64::MAX;
        for &token in y {
            let matches = block.positions(token);
            row = row.wrapping_add(row & matches) | (row & !matches);
        }
        return block.zeros(row);
    }
    // Block by block, with the carries of the additions passed from each block to the next: memory stays linear in y.
    let mut carries = vec![false; y.len()];
    let mut lcs = 0;
    for block in &pattern.blocks {
        let mut row = u64::MAX;
        for (&token, carry) in y.iter().zip(&mut carries) {
            let matches = block.positions(token);
            let (sum, over) = row.overflowing_add(row & matches);
            let (sum, over_again) = sum.overflowing_add(u64::from(*carry));
            *carry = over || over_again;
            row = sum | (row & !matches);
        }
        lcs += block.zeros(row);
    }
    lcs
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::word::Interner;

    fn table_lcs(x: &[u32], y: &[u32]) -> usize {
        let mut row = vec![0; y.len() + 1];
        for a in x {
            let mut diagonal = 0;
            for (j, b) in y.iter().enumerate() {
                let above = row[j + 1];
                row[j + 1] = if a == b { diagonal + 1 } else { above.max(row[j]) };
                diagonal = above;
            }
        }
        row[y.len()]
    }

    fn lines(name: &str) -> Vec<Value> {
        let path = format!("{}/../../tests/golden/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    #[test]
    fn equals_rouge_score() {
        let (pairs, golden) = (lines("pairs.jsonl"), lines("rouge.jsonl"));
        assert_eq!(pairs.len(), golden.len());
        let mut seen = 0;
        for (pair, expected) in pairs.iter().zip(&golden) {
            assert_eq!(pair["id"], expected["id"]);
            let mut words = Interner::new();
            let y = words.intern(pair["hypothesis"].as_str().unwrap());
            let mut check = |key: &str, x: &[u32]| {
                let rouge = rouge_l(x, &y);
                for (found, expected) in [rouge.precision, rouge.recall, rouge.f]
                    .iter()
                    .zip(expected["plain"][key]["rougeL"].as_array().unwrap())
                {
                    let expected = expected.as_f64().unwrap();
                    assert!((found - expected).abs() < 1e-6, "{} {key}: {found} instead of {expected}", pair["id"]);
                    seen += 1;
                }
            };
            check("against_source", &words.intern(pair["source"].as_str().unwrap()));
            if let Some(reference) = pair["references"][0].as_str() {
                check("first_reference", &words.intern(reference));
            }
        }
        assert!(seen > 200, "{seen}");
    }

    #[test]
    fn bit_parallel_equals_the_table() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut sizes = vec![0, 1, 2, 15, 63, 64, 65, 127, 128, 129, 200, 300];
        sizes.extend((0..40).map(|_| random(150)));
        for (round, &m) in sizes.iter().enumerate() {
            let n = sizes[(round * 7 + 3) % sizes.len()];
            let alphabet = [2, 5, 40, u64::from(u32::MAX)][round % 4];
            let x: Vec<u32> = (0..m).map(|_| random(alphabet) as u32).collect();
            let y: Vec<u32> = (0..n).map(|_| random(alphabet) as u32).collect();
            assert_eq!(lcs_row(&Pattern::new(&x), &y), table_lcs(&x, &y), "{m} against {n}, {alphabet} words");
            assert_eq!(lcs_row(&Pattern::new(&x), &x), x.len());
        }
    }

    #[test]
    fn empty_sides_give_zero() {
        assert_eq!(rouge_l(&[], &[]), Rouge::default());
        assert_eq!(rouge_l(&[1], &[]), Rouge::default());
        assert_eq!(rouge_l(&[], &[1]), Rouge::default());
    }

    #[test]
    fn precision_belongs_to_the_prediction() {
        let rouge = rouge_l(&[1, 2, 3, 4], &[1, 9]);
        assert_eq!((rouge.precision, rouge.recall), (0.5, 0.25));
        assert_eq!(rouge_l(&[1, 2, 3, 4, 5], &[1, 2, 3]).f, 0.75);
    }
}
