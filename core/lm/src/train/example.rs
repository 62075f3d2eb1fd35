//! Training examples, and batches of examples of similar length.

use crate::model::encoder;
use record::random::{Purpose, Stream};

/// A prompt and the target that should follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Examples of one group (such as the pairs of a context) are either all trained on or all held out.
    pub group: u64,
    /// Tokens that the model reads but does not learn to predict; read by the encoder if there is one.
    pub prompt: Vec<u32>,
    /// Tokens that the model learns to predict, including the end-of-text token.
    pub target: Vec<u32>,
}

impl Example {
    /// Number of tokens that the model reads; the last token of the target is only predicted.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.prompt.len() + self.target.len()).saturating_sub(1)
    }

    /// Whether there are no tokens to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Right-padded rows and the tokens to be predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Number of examples.
    pub rows: usize,
    /// Length of each row, including padding.
    pub length: usize,
    /// Token ids, `[rows * length]`, padded with 0.
    pub ids: Vec<u32>,
    /// Positions of the tokens, `[rows * length]`.
    pub positions: Vec<u32>,
    /// Indices into `[rows * length]` of the tokens after which a label is predicted.
    pub at: Vec<usize>,
    /// The tokens to be predicted there.
    pub labels: Vec<u32>,
    /// The input of the encoder, if there is one.
    pub source: Option<encoder::Batch>,
}

impl Batch {
    /// A batch of examples, padded to the longest. `start` is the decoder's first token if an encoder reads the
    /// prompts.
    #[must_use]
    pub fn new(examples: &[&Example], start: Option<u32>) -> Self {
        let source = start.map(|_| {
            let types: Vec<Vec<u32>> = examples.iter().map(|e| vec![0; e.prompt.len()]).collect();
            let rows: Vec<(&[u32], &[u32])> =
                examples.iter().zip(&types).map(|(e, t)| (e.prompt.as_slice(), t.as_slice())).collect();
            encoder::Batch::new(&rows, 0)
        });
        let before = |e: &Example| start.map_or_else(|| e.prompt.clone(), |start| vec![start]);
        let read = |e: &Example| (before(e).len() + e.target.len()).saturating_sub(1);
        let length = examples.iter().map(|e| read(e)).max().unwrap_or(0);
        let rows = examples.len();
        let mut batch = Self {
            rows,
            length,
            ids: Vec::with_capacity(rows * length),
            positions: Vec::with_capacity(rows * length),
            at: Vec::new(),
            labels: Vec::new(),
            source,
        };
        for (row, example) in examples.iter().enumerate() {
            let before = before(example);
            batch.ids.extend(before.iter().chain(&example.target).take(read(example)));
            batch.ids.resize((row + 1) * length, 0);
            batch.positions.extend(0..u32::try_from(length).unwrap_or(u32::MAX));
            for (i, &label) in example.target.iter().enumerate() {
                // The first target token is predicted from the last one of the prompt; without a prompt it is not
                // predicted.
                if let Some(place) = (before.len() + i).checked_sub(1) {
                    batch.at.push(row * length + place);
                    batch.labels.push(label);
                }
            }
        }
        batch
    }

    /// Number of positions that are computed, including padding and the encoder's.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.rows * (self.length + self.source.as_ref().map_or(0, |s| s.length))
    }
}

/// The batches of one epoch, as indices. Examples of similar length share a batch; which ones do, and the order of the
/// batches, depends only on (seed, epoch).
///
/// `most` limits the examples in a batch, `tokens` the padded positions, so that long examples come in smaller batches.
#[must_use]
pub fn order(lengths: &[usize], most: usize, tokens: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    /// Examples are sorted by length in windows of this many batches.
    const WINDOW: usize = 32;
    let most = most.max(1);
    let mut stream = Stream::new(seed, Purpose::Order, epoch, 0);
    let mut shuffled: Vec<usize> = (0..lengths.len()).collect();
    shuffle(&mut shuffled, &mut stream);
    let mut batches = Vec::new();
    for window in shuffled.chunks_mut(most * WINDOW) {
        window.sort_by_key(|&i| lengths[i]);
        let mut batch: Vec<usize> = Vec::new();
        for &i in window.iter() {
            // The window is sorted, so this example would be the longest.
            if !batch.is_empty() && (batch.len() == most || (batch.len() + 1) * lengths[i] > tokens) {
                batches.push(std::mem::take(&mut batch));
            }
            batch.push(i);
        }
        batches.extend((!batch.is_empty()).then_some(batch));
    }
    shuffle(&mut batches, &mut stream);
    batches
}

fn shuffle<T>(items: &mut [T], stream: &mut Stream) {
    for i in (1..items.len()).rev() {
        items.swap(i, stream.below(i + 1));
    }
}

/// Selects the groups of the held-out set, given the group of every example: in random order until they have `share` of
/// the examples, leaving out groups that would have much more. At least one group is selected but never all; none for a
/// share of 0 or fewer than two groups.
#[must_use]
pub fn held_out(groups: &[u64], share: f64, seed: u64) -> std::collections::BTreeSet<u64> {
    let mut sizes = std::collections::BTreeMap::<u64, usize>::new();
    for group in groups {
        *sizes.entry(*group).or_default() += 1;
    }
    let mut chosen = std::collections::BTreeSet::new();
    if share <= 0.0 || sizes.len() < 2 {
        return chosen;
    }
    let mut drawn: Vec<(u64, u64, usize)> =
        sizes.iter().map(|(&g, &n)| (Stream::new(seed, Purpose::HeldOut, g, 0).bits(), g, n)).collect();
    drawn.sort_unstable();
    let wanted = (groups.len() as f64 * share).round() as usize;
    let most = (wanted + wanted / 2).max(sizes.values().copied().min().unwrap_or(1));
    let mut examples = 0;
    for (_, group, size) in drawn {
        if chosen.len() + 1 == sizes.len() || (examples >= wanted && !chosen.is_empty()) {
            break;
        }
        if examples + size <= most {
            chosen.insert(group);
            examples += size;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(group: u64, prompt: &[u32], target: &[u32]) -> Example {
        Example { group, prompt: prompt.to_vec(), target: target.to_vec() }
    }

    #[test]
    fn a_batch_predicts_the_targets_and_nothing_else() {
        let (a, b) = (example(0, &[5, 6, 7], &[8, 2]), example(0, &[9], &[4, 3, 2]));
        let batch = Batch::new(&[&a, &b], None);
        assert_eq!((batch.rows, batch.length), (2, 4));
        assert_eq!(batch.ids, [5, 6, 7, 8, 9, 4, 3, 0]);
        assert_eq!(batch.positions, [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(batch.at, [2, 3, 4, 5, 6]);
        assert_eq!(batch.labels, [8, 2, 4, 3, 2]);
        for (&place, &label) in batch.at.iter().zip(&batch.labels).filter(|(p, _)| **p % 4 < 2) {
            assert_eq!(batch.ids[place + 1], label);
        }
    }

    #[test]
    fn an_encoder_reads_the_prompts() {
        let (a, b) = (example(0, &[5, 6, 7], &[8, 2]), example(0, &[9], &[4, 3, 2]));
        let batch = Batch::new(&[&a, &b], Some(1));
        assert_eq!((batch.rows, batch.length), (2, 3));
        assert_eq!(batch.ids, [1, 8, 0, 1, 4, 3]);
        assert_eq!((batch.at, batch.labels), (vec![0, 1, 3, 4, 5], vec![8, 2, 4, 3, 2]));
        let source = batch.source.map(|s| (s.ids, s.lengths));
        assert_eq!(source, Some((vec![5, 6, 7, 9, 0, 0], vec![3, 1])));
    }

    #[test]
    fn an_epoch_has_every_example_once_and_similar_lengths_together() {
        let lengths: Vec<usize> = (0..1000).map(|i| 5 + (i * 37) % 60).collect();
        let batches = order(&lengths, 16, 400, 3, 0);
        let mut seen: Vec<usize> = batches.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
        let padded = |b: &Vec<usize>| b.len() * b.iter().map(|&i| lengths[i]).max().unwrap_or(0);
        assert!(batches.iter().all(|b| b.len() <= 16 && padded(b) <= 400));
        let waste: usize = batches.iter().map(padded).sum();
        assert!(waste * 100 < lengths.iter().sum::<usize>() * 115, "{waste}");
        assert_eq!(batches, order(&lengths, 16, 400, 3, 0));
        assert_ne!(batches, order(&lengths, 16, 400, 3, 1));
        assert_ne!(batches, order(&lengths, 16, 400, 4, 0));
        assert_eq!(order(&[900], 16, 400, 0, 0), [[0]], "an example beyond the limit is a batch of its own");
    }

    #[test]
    fn groups_are_held_out_whole() {
        let groups: Vec<u64> = (0..200).map(|i| i / 4).collect();
        let out = held_out(&groups, 0.1, 7);
        assert_eq!(out.len(), 5);
        assert_eq!(out, held_out(&groups, 0.1, 7));
        assert_ne!(out, held_out(&groups, 0.1, 8));
        assert!(held_out(&[3, 3, 3], 0.5, 0).is_empty(), "one group cannot be split");
        assert_eq!(held_out(&[3, 4], 0.01, 0).len(), 1);
        assert_eq!(held_out(&[3, 4], 1.0, 0).len(), 1);
        assert!(held_out(&groups, 0.0, 0).is_empty());
    }
}
