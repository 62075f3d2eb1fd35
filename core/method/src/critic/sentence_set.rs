//! The distinct sentences of one context, with the features that the critics compare.

use std::collections::{HashMap, HashSet};

use super::chunks::by_chunk;
use super::embeddings::Embeddings;
use super::pair::Pair;
use crate::{Error, Result};
use text::word::Interner;
use text::{entity, marks, modality, number};

/// Most distinct sentences of one context, which make 8.4 million pairs.
pub const MAX_SIBLINGS: usize = 4096;

/// A sentence with the features that critics compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// The sentence, trimmed.
    pub text: String,
    /// Number of its sample in the context.
    pub row: u32,
    /// Length in Unicode code points.
    pub chars: usize,
    /// Number of whitespace-separated words with a letter or digit.
    pub words: usize,
    /// ROUGE tokens as ids, which are consistent within the set.
    pub tokens: Vec<u32>,
    pub(super) numbers: u32,
    pub(super) entities: u32,
    pub(super) modality: u32,
    pub(super) quotes: bool,
    pub(super) question: bool,
}

/// Interned lists of strings (numbers, entities or markers of a sentence), as many sentences have the same list.
#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    ids: HashMap<Vec<String>, u32>,
    lists: Vec<Vec<String>>,
}

impl Lists {
    fn id(&mut self, mut list: Vec<String>) -> u32 {
        list.sort_unstable();
        // There are at most MAX_SIBLINGS lists.
        let next = self.lists.len() as u32;
        *self.ids.entry(list).or_insert_with_key(|list| {
            self.lists.push(list.clone());
            next
        })
    }

    /// For each pair 1 if the rule holds for the lists of x and y, else 0; `id` returns a sentence's list.
    pub(super) fn pair_scores(
        &self,
        siblings: &SentenceSet,
        pairs: &[Pair],
        id: impl Fn(&Sibling) -> u32 + Sync,
        rule: impl Fn(&[String], &[String]) -> bool + Sync,
    ) -> Vec<f32> {
        let of = |index| id(siblings.get(index));
        by_chunk(pairs, |pairs| {
            self.scores(&pairs.iter().map(|pair| (of(pair.x), of(pair.y))).collect::<Vec<_>>(), &rule)
        })
    }

    /// Applies a rule to pairs of lists. With few distinct lists each pair of ids is computed only once.
    fn scores(&self, ids: &[(u32, u32)], rule: impl Fn(&[String], &[String]) -> bool) -> Vec<f32> {
        let n = self.lists.len();
        let decide = |(x, y): (u32, u32)| f32::from(u8::from(rule(&self.lists[x as usize], &self.lists[y as usize])));
        if n * n > 4 * ids.len() {
            return ids.iter().map(|&ids| decide(ids)).collect();
        }
        let mut known = vec![f32::NAN; n * n];
        let mut score = |(x, y): (u32, u32)| {
            let known = &mut known[x as usize * n + y as usize];
            if known.is_nan() {
                *known = decide((x, y));
            }
            *known
        };
        ids.iter().map(|&ids| score(ids)).collect()
    }
}

/// The distinct sentences of one context, in row order.
#[derive(Debug, Clone, Default)]
pub struct SentenceSet {
    all: Vec<Sibling>,
    duplicates: u64,
    pub(super) numbers: Lists,
    pub(super) entities: Lists,
    pub(super) modality: Lists,
    pub(super) embeddings: Option<Embeddings>,
}

impl SentenceSet {
    /// Builds the set from (row, text) of one context's usable sentences. Of sentences that differ only in white space
    /// the first row is kept. Blank texts and further texts of the same row count as duplicates too.
    ///
    /// # Errors
    /// [`Error::Input`] for more than [`MAX_SIBLINGS`] distinct sentences.
    pub fn new<'a>(sentences: impl IntoIterator<Item = (u32, &'a str)>) -> Result<Self> {
        let mut sentences: Vec<_> = sentences.into_iter().collect();
        sentences.sort_by_key(|&(row, _)| row);
        let mut siblings = Self::default();
        let mut seen = HashSet::new();
        let mut words = Interner::new();
        for (row, text) in sentences {
            let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let row_again = siblings.all.last().is_some_and(|last| last.row == row);
            if squeezed.is_empty() || row_again || !seen.insert(squeezed) {
                siblings.duplicates += 1;
                continue;
            }
            if siblings.all.len() == MAX_SIBLINGS {
                return Err(Error::input("siblings of one context", format!("at most {MAX_SIBLINGS}"), "more"));
            }
            let text = text.trim();
            siblings.all.push(Sibling {
                text: text.to_string(),
                row,
                chars: text.chars().count(),
                words: text.split_whitespace().filter(|w| w.contains(char::is_alphanumeric)).count(),
                tokens: words.intern(text),
                numbers: siblings.numbers.id(number::numbers(text)),
                entities: siblings.entities.id(entity::entities(text)),
                modality: siblings.modality.id(modality::markers(text)),
                quotes: marks::quotations_close(text),
                question: marks::is_question(text),
            });
        }
        Ok(siblings)
    }

    /// All sentences, in the order of the indices of [`Pair`].
    #[must_use]
    pub fn all(&self) -> &[Sibling] {
        &self.all
    }

    /// The sentence with an index.
    ///
    /// # Panics
    /// If the index is out of range.
    #[must_use]
    pub fn get(&self, index: u32) -> &Sibling {
        &self.all[index as usize]
    }

    /// Number of sentences.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether the set has no sentence.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Number of sentences that [`Self::new`] dropped as duplicates.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Index of the sentence of this row, if it was not dropped.
    #[must_use]
    pub fn index_of(&self, row: u32) -> Option<u32> {
        self.all.binary_search_by_key(&row, |s| s.row).ok().map(|index| index as u32)
    }

    /// Number of unordered pairs of sentences.
    #[must_use]
    pub fn pair_count(&self) -> u64 {
        let n = self.all.len() as u64;
        n * n.saturating_sub(1) / 2
    }

    /// Every unordered pair once, with the earlier sample as x, ordered by (x, y).
    pub fn pairs(&self) -> impl Iterator<Item = Pair> + use<> {
        let n = self.all.len() as u32;
        (0..n).flat_map(move |x| (x + 1..n).map(move |y| Pair { x, y }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::contract::FreeCritic;
    use super::super::entity::Entities;
    use super::super::modality::Modality;
    use super::super::number::Numbers;
    use super::*;

    #[test]
    fn duplicates_are_dropped_and_counted() {
        let siblings =
            SentenceSet::new([(3, "B  is here."), (0, " A. "), (1, "A."), (2, "B is\there."), (4, "  "), (2, "C.")])
                .unwrap();
        let kept: Vec<_> = siblings.all().iter().map(|s| (s.row, s.text.as_str())).collect();
        assert_eq!(kept, [(0, "A."), (2, "B is\there.")]);
        assert_eq!(siblings.duplicates(), 4);
        assert_eq!((siblings.index_of(2), siblings.index_of(1)), (Some(1), None));
    }

    #[test]
    fn features() {
        let siblings = SentenceSet::new([(0, "Élan — 5 of 7."), (1, "7 of 5, élan")]).unwrap();
        let [x, y] = siblings.all() else { panic!() };
        assert_eq!((x.chars, x.words), (14, 4));
        assert_eq!(x.numbers, y.numbers);
        assert_eq!(siblings.pairs().collect::<Vec<_>>(), [Pair { x: 0, y: 1 }]);
    }

    #[test]
    fn too_many_are_refused() {
        let texts: Vec<_> = (0..=MAX_SIBLINGS as u32).map(|n| (n, format!("Sentence {n}."))).collect();
        let all = || texts.iter().map(|(row, text)| (*row, text.as_str()));
        assert!(SentenceSet::new(all().take(MAX_SIBLINGS)).is_ok());
        assert!(matches!(SentenceSet::new(all()), Err(Error::Input { .. })));
    }

    /// Scores of many pairs, which are looked up in a table, must equal those of each pair scored alone.
    #[test]
    fn many_pairs_score_as_each_alone() {
        let texts = [
            "Sales rose 5 percent in May, Smith said.",
            "In May, Smith said, sales rose 5 percent.",
            "Sales did not rise 5 percent in May, Smith said.",
            "Sales rose 7 percent in May, Smith said.",
            "Sales rose 5 percent, Jones said.",
            "Sales rose, it is said.",
        ];
        let set = SentenceSet::new((0..).zip(texts)).unwrap();
        let all: Vec<Pair> = (0..6).flat_map(|x| (0..6).map(move |y| Pair { x, y })).collect();
        let critics: [&dyn FreeCritic; 5] =
            [&Numbers::Both, &Numbers::OfY, &Entities::Both, &Entities::OfY, &Modality::Both];
        for critic in critics {
            let alone: Vec<f32> = all.iter().flat_map(|pair| critic.scores(&set, &[*pair])).collect();
            assert_eq!(critic.scores(&set, &all), alone);
            assert!(alone.contains(&0.0) && alone.contains(&1.0));
            // The first two sentences agree with each other, and each sentence agrees with itself.
            assert!(alone[0] == 1.0 && alone[1] == 1.0 && alone[6] == 1.0 && (0..6).all(|i| alone[7 * i] == 1.0));
        }
        let row = |critic: &dyn FreeCritic, x: usize| critic.scores(&set, &all)[6 * x..6 * x + 6].to_vec();
        assert_eq!(row(&Numbers::Both, 0), [1., 1., 1., 0., 1., 0.]);
        assert_eq!(row(&Numbers::OfY, 0), [1., 1., 1., 0., 1., 1.]);
        assert_eq!(row(&Numbers::OfY, 5), [0., 0., 0., 0., 0., 1.]);
    }
}
