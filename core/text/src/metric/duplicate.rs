//! Duplicates: texts that repeat an earlier one exactly or nearly.
//!
//! Near duplicates are found exactly, without sketches: two sets whose Jaccard index is at least t share one of their
//! rarest `size - ceil(t size) + 1` elements (prefix filter: Chaudhuri et al. 2006, Bayardo et al. 2007), so an index
//! of those yields every candidate, and candidates are then compared in full.

use std::collections::HashMap;

use super::diversity::{Grams, next_id};
use super::token::words;
use crate::{Error, Result};

/// When two texts count as near duplicates: by the Jaccard index of their sets of word n-grams, which include boundary
/// markers before the first and after the last word. Words are those of [`words`], without case and punctuation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Words per n-gram, 1 to 8.
    pub ngram: usize,
    /// Threshold: the smallest Jaccard index of near duplicates, in (0, 1].
    pub similarity: f64,
}

impl Default for Likeness {
    /// Bigrams and 0.8: one word in a sentence of twenty may differ.
    fn default() -> Self {
        Self { ngram: 2, similarity: 0.8 }
    }
}

impl Likeness {
    fn check(self) -> Result<Self> {
        if !(1..=8).contains(&self.ngram) {
            return Err(Error::input("n-gram of near duplicates", "1 to 8 words", self.ngram));
        }
        if !(self.similarity > 0.0 && self.similarity <= 1.0) {
            let expected = "a number above 0, at most 1";
            return Err(Error::input("similarity of near duplicates", expected, self.similarity));
        }
        Ok(self)
    }

    /// How many elements two sets must share if one of them has `size`. The 1e-9 keeps rounding from requiring one too
    /// many.
    fn overlap(self, size: usize) -> usize {
        (self.similarity * size as f64 - 1e-9).ceil() as usize
    }
}

/// A grouping of texts, each identified by its first text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// For each text the index of the earlier text it repeats, or its own.
    pub first: Vec<usize>,
}

impl Groups {
    /// Number of texts that repeat an earlier one.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.first.iter().enumerate().filter(|&(i, &first)| i != first).count()
    }

    /// Number of texts that remain when duplicates are dropped.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.first.len() - self.duplicates()
    }

    /// The `groups` largest groups of two or more texts: index of the first text, and size of the group. Largest first,
    /// equal sizes in order of their first texts.
    #[must_use]
    pub fn largest(&self, groups: usize) -> Vec<(usize, usize)> {
        let mut sizes = vec![0; self.first.len()];
        for &first in &self.first {
            sizes[first] += 1;
        }
        let mut found: Vec<(usize, usize)> = sizes.into_iter().enumerate().filter(|&(_, size)| size > 1).collect();
        found.sort_by_key(|&(first, size)| (usize::MAX - size, first));
        found.truncate(groups);
        found
    }
}

/// Groups of texts that are equal byte for byte.
#[must_use]
pub fn exact<T: AsRef<str>>(texts: &[T]) -> Groups {
    let mut seen = HashMap::new();
    let first = texts.iter().enumerate().map(|(i, text)| *seen.entry(text.as_ref()).or_insert(i)).collect();
    Groups { first }
}

/// Groups of near duplicates, as by a single pass that drops every text that is a near duplicate of one it has kept.
/// All texts without any word count as duplicates of each other.
///
/// Memory is linear in the number of words. Time is nearly linear for natural text, but quadratic in the number of
/// texts that share rare n-grams without being near duplicates.
///
/// # Errors
/// [`Error::Input`] when `likeness` is out of range.
pub fn near<T: AsRef<str>>(texts: &[T], likeness: Likeness) -> Result<Groups> {
    let sets = Sets::new(texts, likeness.check()?.ngram);
    // For each shingle that occurs in two or more texts: the kept texts that have it among their rarest.
    let mut index = vec![Vec::<u32>::new(); sets.shingles - sets.unique];
    let mut first: Vec<usize> = Vec::with_capacity(texts.len());
    let mut wordless = None;
    let mut candidates = Vec::new();
    for text in 0..texts.len() {
        let set = sets.of(text);
        if set.is_empty() {
            first.push(*wordless.get_or_insert(text));
            continue;
        }
        let rarest = &set[..set.len() - likeness.overlap(set.len()) + 1];
        let shared = rarest.iter().filter_map(|&shingle| (shingle as usize).checked_sub(sets.unique));
        candidates.clear();
        candidates.extend(shared.clone().flat_map(|shingle| &index[shingle]));
        candidates.sort_unstable();
        candidates.dedup();
        let like = |&&kept: &&u32| {
            let other = sets.of(kept as usize);
            likeness.overlap(set.len().max(other.len())) <= set.len().min(other.len())
                && jaccard_sorted(set, other) >= likeness.similarity
        };
        if let Some(&kept) = candidates.iter().find(like) {
            first.push(kept as usize);
        } else {
            shared.for_each(|shingle| index[shingle].push(next_id(text)));
            first.push(text);
        }
    }
    Ok(Groups { first })
}

/// The Jaccard index that [`near`] compares with the threshold, in [0, 1]; 1 for two texts without words.
///
/// # Errors
/// [`Error::Input`] when `likeness` is out of range.
pub fn similarity(x: &str, y: &str, likeness: Likeness) -> Result<f64> {
    let sets = Sets::new(&[x, y], likeness.check()?.ngram);
    Ok(jaccard_sorted(sets.of(0), sets.of(1)))
}

/// Jaccard index of two ascending lists without repeats; 1 when both are empty.
fn jaccard_sorted(x: &[u32], y: &[u32]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0);
    while let (Some(a), Some(b)) = (x.get(i), y.get(j)) {
        both += usize::from(a == b);
        i += usize::from(a <= b);
        j += usize::from(b <= a);
    }
    let all = x.len() + y.len() - both;
    if all == 0 { 1.0 } else { both as f64 / all as f64 }
}

/// The n-grams of each text as numbers, ascending; the rarer an n-gram is among the texts, the smaller its number.
struct Sets {
    elements: Vec<u32>,
    ends: Vec<usize>,
    shingles: usize,
    /// Number of shingles that occur in only one text; they have the smallest numbers.
    unique: usize,
}

impl Sets {
    fn new<T: AsRef<str>>(texts: &[T], ngram: usize) -> Self {
        const EDGE: u32 = 0;
        let mut ids = HashMap::<String, u32>::new();
        let mut levels = vec![Grams::default(); ngram];
        let (mut elements, mut ends, mut texts_with) = (Vec::new(), Vec::new(), Vec::<u32>::new());
        for text in texts {
            let mut line = vec![EDGE; ngram - 1];
            for word in words(text.as_ref()) {
                let next = next_id(ids.len() + 1);
                line.push(*ids.entry(word).or_insert(next));
            }
            let start = elements.len();
            if line.len() >= ngram {
                line.extend(vec![EDGE; ngram - 1]);
                let shingle = |gram: &[u32]| levels.iter_mut().zip(gram).fold(0, |id, (grams, &w)| grams.add(id, w));
                elements.extend(line.windows(ngram).map(shingle));
            }
            sort_from(&mut elements, start);
            for &shingle in &elements[start..] {
                let shingle = shingle as usize;
                texts_with.resize(texts_with.len().max(shingle + 1), 0);
                texts_with[shingle] += 1;
            }
            ends.push(elements.len());
        }
        let mut order: Vec<u32> = (0..next_id(texts_with.len())).collect();
        order.sort_by_key(|&shingle| texts_with[shingle as usize]);
        let mut rank = vec![0; order.len()];
        for (place, &shingle) in order.iter().enumerate() {
            rank[shingle as usize] = next_id(place);
        }
        elements.iter_mut().for_each(|shingle| *shingle = rank[*shingle as usize]);
        let mut sets = Self { elements, ends, shingles: order.len(), unique: 0 };
        sets.unique = texts_with.iter().filter(|&&texts| texts == 1).count();
        let mut start = 0;
        for &end in &sets.ends {
            sets.elements[start..end].sort_unstable();
            start = end;
        }
        sets
    }

    fn of(&self, text: usize) -> &[u32] {
        let start = text.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.elements[start..self.ends[text]]
    }
}

/// Sorts the elements from `start` on and drops repeated ones.
fn sort_from(elements: &mut Vec<u32>, start: usize) {
    elements[start..].sort_unstable();
    let mut kept = start;
    for i in start..elements.len() {
        if kept == start || elements[kept - 1] != elements[i] {
            elements[kept] = elements[i];
            kept += 1;
        }
    }
    elements.truncate(kept);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use record::random::{Purpose, Stream};

    fn first_of_kind(texts: &[String], likeness: Likeness) -> Vec<usize> {
        let mut first: Vec<usize> = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let like =
                |&j: &usize| first[j] == j && similarity(&texts[j], text, likeness).unwrap() >= likeness.similarity;
            let found = (0..i).find(like).unwrap_or(i);
            first.push(found);
        }
        first
    }

    /// Templates with some words changed, dropped or doubled.
    fn noisy(seed: u64, n: usize, vocabulary: usize) -> Vec<String> {
        let mut stream = Stream::new(seed, Purpose::Other, 0, 0);
        let templates: Vec<Vec<usize>> = (0..6)
            .map(|_| {
                let len = stream.below(25);
                (0..len).map(|_| stream.below(vocabulary)).collect()
            })
            .collect();
        (0..n)
            .map(|_| {
                let mut words = templates[stream.below(6)].clone();
                for _ in 0..stream.below(3) {
                    let at = stream.below(words.len() + 1);
                    match (stream.below(3), words.get(at).copied()) {
                        (0, Some(_)) => words[at] = stream.below(vocabulary),
                        (1, Some(_)) => drop(words.remove(at)),
                        (_, word) => words.insert(at, word.unwrap_or(0)),
                    }
                }
                words.iter().map(|w| format!("w{w}")).collect::<Vec<_>>().join(" ")
            })
            .collect()
    }

    #[test]
    fn the_index_misses_nothing() {
        let mut repeats = 0;
        for seed in 0..60 {
            let texts = noisy(seed, 60, [3, 20, 500][seed as usize % 3]);
            for ngram in 1..=3 {
                let similarity = [0.3, 0.5, 0.7, 0.8, 0.9, 1.0][(seed as usize + ngram) % 6];
                let likeness = Likeness { ngram, similarity };
                let groups = near(&texts, likeness).unwrap();
                assert_eq!(groups.first, first_of_kind(&texts, likeness), "{seed} {likeness:?}");
                repeats += groups.duplicates();
            }
        }
        assert!(repeats > 1000, "{repeats}");
    }

    #[test]
    fn equal_texts() {
        let texts = ["a", "b", "a", "", "A", "", "b", "a"];
        let groups = exact(&texts);
        assert_eq!(groups.first, [0, 1, 0, 3, 4, 3, 1, 0]);
        assert_eq!((groups.duplicates(), groups.distinct()), (4, 4));
        assert_eq!(groups.largest(2), [(0, 3), (1, 2)]);
        assert_eq!(exact::<&str>(&[]).largest(5), []);
    }

    #[test]
    fn one_word_of_many_may_differ() {
        let sentence =
            "the minister said on tuesday that the new budget would be put to a vote before the end of this month";
        let texts = [
            sentence.to_owned(),
            sentence.replace("tuesday", "monday"),
            format!("{}!", sentence.to_uppercase()),
            sentence.replace("tuesday", "monday").replace("budget", "law"),
            "The minister said so.".to_owned(),
        ];
        assert_eq!(near(&texts, Likeness::default()).unwrap().first, [0, 0, 0, 3, 4]);
    }

    #[test]
    fn odd_texts() {
        let long = "deep learning ".repeat(100_000);
        let texts = ["", "😀", "🎉", " \n", "word", "Word.", "日本です", "日本です。", "?!", &long, &long, "!?"];
        let groups = near(&texts, Likeness::default()).unwrap();
        assert_eq!(groups.first, [0, 1, 2, 0, 4, 4, 6, 6, 8, 9, 9, 11]);
        assert_eq!(near::<&str>(&[], Likeness::default()).unwrap().first, Vec::<usize>::new());
    }

    #[test]
    fn likeness_out_of_range_is_an_error() {
        for (ngram, similarity) in [(0, 0.8), (9, 0.8), (2, 0.0), (2, 1.1), (2, f64::NAN)] {
            let likeness = Likeness { ngram, similarity };
            assert!(matches!(near(&["a"], likeness), Err(Error::Input { .. })), "{likeness:?}");
        }
    }

    #[test]
    fn similarity_is_symmetric_and_bounded() {
        let texts = noisy(3, 30, 20);
        for x in &texts {
            assert_eq!(similarity(x, x, Likeness::default()).unwrap(), 1.0);
            for y in &texts {
                let value = similarity(x, y, Likeness::default()).unwrap();
                assert!(value == similarity(y, x, Likeness::default()).unwrap() && (0.0..=1.0).contains(&value));
            }
        }
    }
}
