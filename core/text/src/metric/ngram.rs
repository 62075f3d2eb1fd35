//! N-gram counts on token ids. An n-gram is a path in a tree whose edges are tokens, so all orders are counted in one
//! pass, n-grams are compared exactly rather than by hash, and none needs an allocation of its own.

/// A tree of n-grams with their counts in several sequences ("owners"). Its memory is reused from pair to pair.
#[derive(Debug, Clone, Default)]
pub(super) struct NgramCounts {
    /// Open-addressing table from (parent, token) to the node; only slots with the current stamp are in use.
    slots: Vec<Slot>,
    stamp: u32,
    /// log2 of the size of the table in use: a short pair after a long one touches only a small part of the memory.
    bits: u32,
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: u64,
    stamp: u32,
    node: u32,
}

/// The counts of one n-gram.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    /// Largest count within one owner, that owner, and the largest count of any other owner.
    best: u32,
    best_owner: u32,
    second: u32,
    /// Count so far in the current sequence, and that sequence.
    current: u32,
    current_owner: u32,
}

/// Index of the root, the parent of the unigrams.
const ROOT: u32 = 0;
const MIN_BITS: u32 = 6;
/// The initial size is estimated from the lengths; beyond this limit the table grows only as needed.
const MAX_FIRST_BITS: u32 = 17;

fn key(parent: u32, token: u32) -> u64 {
    u64::from(parent) << 32 | u64::from(token)
}

impl NgramCounts {
    /// Removes all counts, and makes room for `expected` n-grams; more may be added.
    pub fn clear(&mut self, expected: usize) {
        self.bits = (usize::BITS - expected.leading_zeros() + 1).clamp(MIN_BITS, MAX_FIRST_BITS);
        if self.stamp == u32::MAX {
            self.slots.clear();
            self.stamp = 0;
        }
        self.stamp += 1;
        self.make_slots();
        self.nodes.clear();
        self.nodes.push(Node::default());
    }

    fn make_slots(&mut self) {
        let size = 1 << self.bits;
        if self.slots.len() < size {
            self.slots.resize(size, Slot::default());
        }
    }

    /// Index of the slot of `key`, or of the free slot where it would be inserted.
    fn slot(&self, key: u64) -> usize {
        let wrap = (1 << self.bits) - 1;
        let mixed = (key ^ (key >> 29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut at = (mixed >> (64 - self.bits)) as usize & wrap;
        loop {
            let slot = &self.slots[at];
            if slot.stamp != self.stamp || slot.key == key {
                return at;
            }
            at = (at + 1) & wrap;
        }
    }

    fn grow(&mut self) {
        let used = self.slots[..1 << self.bits].to_vec();
        let old = self.stamp;
        // A new stamp frees all slots at once. When stamps run out, the table is cleared instead.
        if old == u32::MAX {
            self.slots.clear();
            self.stamp = 0;
        }
        self.stamp += 1;
        self.bits += 1;
        self.make_slots();
        for slot in used.iter().filter(|slot| slot.stamp == old) {
            let at = self.slot(slot.key);
            self.slots[at] = Slot { stamp: self.stamp, ..*slot };
        }
    }

    /// Counts the n-grams of 1 to `order` tokens of the sequence `owner`. Owners must be added one after the other.
    pub fn add(&mut self, owner: u32, tokens: &[u32], order: usize) {
        for start in 0..tokens.len() {
            let mut parent = ROOT;
            for &token in tokens[start..].iter().take(order) {
                let key = key(parent, token);
                let at = self.slot(key);
                if self.slots[at].stamp == self.stamp {
                    parent = self.slots[at].node;
                    self.nodes[parent as usize].count(owner);
                } else {
                    parent = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
                    self.nodes.push(Node { best: 1, best_owner: owner, second: 0, current: 1, current_owner: owner });
                    self.slots[at] = Slot { key, stamp: self.stamp, node: parent };
                    if self.nodes.len() >> (self.bits - 1) > 0 {
                        self.grow();
                    }
                }
            }
        }
    }

    /// For each order 1 to `N`: how many n-grams of `tokens` are matched, with each n-gram clipped to its largest count
    /// in any owner. `tag` must be a number not used by any owner or earlier call. The counts of the owner `except` are
    /// ignored.
    pub fn matches<const N: usize>(&mut self, tag: u32, tokens: &[u32], except: Option<u32>) -> [u64; N] {
        let mut matches = [0; N];
        for start in 0..tokens.len() {
            let mut parent = ROOT;
            for (&token, matches) in tokens[start..].iter().zip(&mut matches) {
                let slot = &self.slots[self.slot(key(parent, token))];
                if slot.stamp != self.stamp {
                    // No longer n-gram can be present either.
                    break;
                }
                parent = slot.node;
                let node = &mut self.nodes[parent as usize];
                let most = if except == Some(node.best_owner) { node.second } else { node.best };
                *matches += u64::from(node.next(tag) <= most);
            }
        }
        matches
    }
}

impl Node {
    /// Counts one more occurrence in the sequence `owner`, and returns the count so far.
    fn next(&mut self, owner: u32) -> u32 {
        if self.current_owner != owner {
            self.current_owner = owner;
            self.current = 0;
        }
        self.current += 1;
        self.current
    }

    fn count(&mut self, owner: u32) {
        let current = self.next(owner);
        if self.best_owner == owner {
            self.best = self.best.max(current);
        } else if current > self.best {
            self.second = self.best;
            self.best = current;
            self.best_owner = owner;
        } else {
            self.second = self.second.max(current);
        }
    }
}

/// The number of n-grams of each order 1 to `N` in a sequence of `len` tokens.
pub(super) fn totals<const N: usize>(len: usize) -> [u64; N] {
    std::array::from_fn(|n| len.saturating_sub(n) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn counter(tokens: &[u32], n: usize) -> HashMap<&[u32], u64> {
        let mut counts = HashMap::new();
        for ngram in tokens.windows(n) {
            *counts.entry(ngram).or_insert(0) += 1;
        }
        counts
    }

    /// Directly from the definition: the count of each n-gram, clipped to its largest count in any owner.
    fn clipped(tokens: &[u32], owners: &[&[u32]], n: usize) -> u64 {
        let owners: Vec<_> = owners.iter().map(|owner| counter(owner, n)).collect();
        counter(tokens, n)
            .iter()
            .map(|(ngram, &count)| count.min(owners.iter().filter_map(|o| o.get(ngram)).max().copied().unwrap_or(0)))
            .sum()
    }

    fn sequences(alphabet: u64, lengths: &[usize]) -> Vec<Vec<u32>> {
        let mut state = alphabet;
        let mut token = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % alphabet) as u32
        };
        lengths.iter().map(|&len| (0..len).map(|_| token()).collect()).collect()
    }

    #[test]
    fn equals_the_definition_with_and_without_an_owner() {
        let mut counts = NgramCounts::default();
        for alphabet in [1, 2, 3, 7, 1000] {
            let owners = sequences(alphabet, &[0, 1, 2, 5, 9, 30, 31, 60, 200]);
            counts.clear(10);
            for (owner, tokens) in owners.iter().enumerate() {
                counts.add(owner as u32, tokens, 4);
            }
            let all: Vec<&[u32]> = owners.iter().map(Vec::as_slice).collect();
            for (k, tokens) in sequences(alphabet + 1, &[0, 1, 3, 4, 50, 90]).iter().enumerate() {
                let found = counts.matches::<4>(100 + k as u32, tokens, None);
                assert_eq!(found, [1, 2, 3, 4].map(|n| clipped(tokens, &all, n)), "{alphabet} words, query {k}");
            }
            for (k, tokens) in owners.iter().enumerate() {
                let mut others = all.clone();
                others.remove(k);
                let found = counts.matches::<4>(200 + k as u32, tokens, Some(k as u32));
                assert_eq!(found, [1, 2, 3, 4].map(|n| clipped(tokens, &others, n)), "{alphabet} words, all but {k}");
            }
        }
    }

    #[test]
    fn nothing_is_left_after_clear_even_when_the_stamps_run_out() {
        let mut counts = NgramCounts::default();
        counts.clear(0);
        counts.stamp = u32::MAX - 2;
        let long: Vec<u32> = (0..5000).collect();
        for round in 0..4 {
            counts.clear(3);
            assert_eq!(counts.matches::<2>(9, &[1, 2], None), [0, 0], "round {round}");
            counts.add(0, &long, 2);
            assert_eq!(counts.matches::<2>(10, &long, None), [5000, 4999], "round {round}");
        }
    }

    #[test]
    fn totals_of_short_sequences() {
        assert_eq!(totals::<4>(2), [2, 1, 0, 0]);
        assert_eq!(totals::<4>(0), [0; 4]);
    }
}
