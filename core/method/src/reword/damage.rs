//! The damage: words fall out, phrases change their order. It depends on seed, sentence and pass alone.

use record::random::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use super::words::{Kind, Words};
use crate::{Error, Result};

/// Width of the noise at which the order of the phrases is random.
pub const ANY_ORDER: f32 = 100.0;

/// How sentences are damaged. Each pass draws one value of each list. What is [`Kind::Fixed`] never falls out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Damage {
    /// Shares of the function words that fall out, 0 to 1.
    pub function: Vec<f32>,
    /// Share of the content words that fall out, 0 to 0.5; the model fills such gaps with words of its own.
    pub content: f32,
    /// Widths of the noise on the order of phrases, in phrases; 0 keeps the order, 100 gives any.
    pub noise: Vec<f32>,
    /// Most words of a phrase, 1 to 20; names, numbers and quotations count as one word.
    pub phrase: Vec<usize>,
}

impl Damage {
    /// The damage that a model learns to repair.
    #[must_use]
    pub fn training() -> Self {
        Self {
            function: vec![0.25, 0.5, 0.75, 0.9],
            content: 0.1,
            noise: vec![0.0, 1.0, 2.0, ANY_ORDER],
            phrase: vec![2, 4, 8],
        }
    }

    /// The milder damage from which versions are written.
    #[must_use]
    pub fn writing() -> Self {
        Self { function: vec![0.3, 0.75], content: 0.0, noise: vec![0.0, 0.7, 1.2], phrase: vec![3, 6] }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Input`] names the value that is out of range.
    pub fn validate(&self) -> Result<()> {
        let share = |name: &str, value: f32, most: f32| match value {
            v if (0.0..=most).contains(&v) => Ok(()),
            v => Err(Error::input(format_args!("damage.{name}"), format_args!("0 to {most}"), v)),
        };
        share("content", self.content, 0.5)?;
        self.function.iter().try_for_each(|&value| share("function", value, 1.0))?;
        if let Some(width) = self.noise.iter().find(|width| !(0.0..=ANY_ORDER).contains(*width)) {
            return Err(Error::input("damage.noise", format_args!("widths of 0 to {ANY_ORDER}"), width));
        }
        if let Some(words) = self.phrase.iter().find(|words| !(1..=20).contains(*words)) {
            return Err(Error::input("damage.phrase", "1 to 20 words", words));
        }
        let lengths = [("function", self.function.len()), ("noise", self.noise.len()), ("phrase", self.phrase.len())];
        let wrong = lengths.into_iter().find(|(_, values)| !(1..=100).contains(values));
        wrong.map_or(Ok(()), |(name, values)| {
            Err(Error::input(format_args!("damage.{name}"), "1 to 100 values", values))
        })
    }

    /// The damaged text of a sentence with this number, in this pass. With `share` below 1, whole phrases fall out
    /// until about that share of the text is left, as for a summary.
    #[must_use]
    pub fn apply(&self, words: &Words, share: f32, (seed, sentence, pass): (u64, u64, u32)) -> String {
        words.text(&self.order(words, share, &mut Stream::new(seed, Purpose::Damage, sentence, pass)))
    }

    /// Indices of the words that are left, in their new order.
    fn order(&self, words: &Words, share: f32, stream: &mut Stream) -> Vec<usize> {
        let function = f64::from(drawn(&self.function, stream).unwrap_or(0.0));
        let longest = drawn(&self.phrase, stream).unwrap_or(1);
        let mut phrases = phrases(words, longest, stream);
        if share < 1.0 {
            shorten(&mut phrases, words, share, stream);
        }
        let width = f64::from(drawn(&self.noise, stream).unwrap_or(0.0));
        let mut keyed: Vec<(f64, Vec<usize>)> =
            (0..).zip(phrases).map(|(at, phrase)| (f64::from(at) + width * gaussian(stream), phrase)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all: Vec<usize> = keyed.into_iter().flat_map(|(_, phrase)| phrase).collect();
        let behind = |at: usize| at > 0 && words.words.get(at - 1).is_some_and(|before| before.joined);
        let stays = |at: usize, stream: &mut Stream| {
            let rate = match words.words.get(at).map(|w| w.kind) {
                Some(Kind::Function) => function,
                Some(Kind::Content) => f64::from(self.content),
                _ => 0.0,
            };
            // A draw for every word, so that one word's fate does not change that of the others.
            let drawn = stream.uniform();
            let content = words.words.get(at).is_some_and(|w| w.kind == Kind::Content);
            (content && behind(at)) || drawn >= rate
        };
        let left: Vec<usize> = all.iter().copied().filter(|&at| stays(at, stream)).collect();
        if left.is_empty() { all } else { left }
    }
}

/// One of the values.
fn drawn<T: Copy>(values: &[T], stream: &mut Stream) -> Option<T> {
    values.get(stream.below(values.len().max(1))).copied()
}

/// Cuts the words into phrases of 1 to `longest` units; joined words are one unit.
fn phrases(words: &Words, longest: usize, stream: &mut Stream) -> Vec<Vec<usize>> {
    let mut phrases: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    let mut joined = false;
    for (at, word) in words.words.iter().enumerate() {
        if !joined {
            if room == 0 {
                room = 1 + stream.below(longest.max(1));
                phrases.push(Vec::new());
            }
            room -= 1;
        }
        if let Some(phrase) = phrases.last_mut() {
            phrase.push(at);
        }
        joined = word.joined;
    }
    phrases
}

/// Removes random phrases until about `share` of the characters is left; one phrase always stays.
fn shorten(phrases: &mut Vec<Vec<usize>>, words: &Words, share: f32, stream: &mut Stream) {
    let length = |phrase: &[usize]| -> usize {
        phrase.iter().filter_map(|&at| words.words.get(at)).map(|w| w.text.chars().count() + 1).sum()
    };
    let mut left: usize = phrases.iter().map(|p| length(p)).sum();
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let wanted = (left as f32 * share.max(0.0)) as usize;
    while left > wanted && phrases.len() > 1 {
        let gone = phrases.remove(stream.below(phrases.len()));
        left -= length(&gone);
    }
}

/// A draw from the normal distribution (Box and Muller, 1958); takes two steps of the stream.
fn gaussian(stream: &mut Stream) -> f64 {
    let (radius, angle) = (1.0 - stream.uniform(), stream.uniform());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SENTENCE: &str =
        "The Bank of England said it will not raise its base rate by 12 points before the end of March.";

    fn damaged(damage: &Damage, share: f32, pass: u32) -> String {
        damage.apply(&Words::read(SENTENCE), share, (7, 3, pass))
    }

    #[test]
    fn what_is_fixed_stays_and_the_same_numbers_give_the_same_damage() {
        let damage = Damage { content: 0.5, ..Damage::training() };
        let mut seen = BTreeSet::new();
        for pass in 0..200 {
            let text = damaged(&damage, 1.0, pass);
            for fixed in ["Bank of England", "will not raise", "by 12 points", "before", "March"] {
                assert!(text.contains(fixed), "{fixed} in {text}");
            }
            assert_eq!(text, damaged(&damage, 1.0, pass));
            seen.insert(text);
        }
        assert!(seen.len() > 170, "{} of 200 differ", seen.len());
    }

    #[test]
    fn rates_are_kept() {
        let words = Words::read(SENTENCE);
        let share = |damage: &Damage, word: &str| {
            (0..1000).filter(|&pass| !damage.apply(&words, 1.0, (1, 2, pass)).split(' ').any(|w| w == word)).count()
        };
        let damage = Damage { function: vec![0.75], content: 0.2, noise: vec![0.0], phrase: vec![3] };
        assert!((700..800).contains(&share(&damage, "it")) && (150..250).contains(&share(&damage, "base")));
        let none = Damage { function: vec![0.0], content: 0.0, noise: vec![0.0], phrase: vec![1] };
        assert_eq!(none.apply(&words, 1.0, (1, 2, 3)).to_lowercase() + ".", SENTENCE.to_lowercase());
    }

    #[test]
    fn noise_moves_phrases_and_width_0_none() {
        let words = Words::read(SENTENCE);
        let moved = |width: f32| {
            let damage = Damage { function: vec![0.0], content: 0.0, noise: vec![width], phrase: vec![2] };
            let far = |pass: u32| {
                let order = damage.order(&words, 1.0, &mut Stream::new(1, Purpose::Damage, 1, pass));
                order.iter().enumerate().map(|(to, &from)| to.abs_diff(from)).sum::<usize>()
            };
            (0..100).map(far).sum::<usize>()
        };
        let (still, mild, any) = (moved(0.0), moved(0.7), moved(ANY_ORDER));
        assert!(still == 0 && 0 < mild && 2 * mild < any, "{still} {mild} {any}");
    }

    #[test]
    fn a_share_drops_whole_phrases() {
        let damage = Damage { function: vec![0.0], noise: vec![0.0], phrase: vec![3], ..Damage::writing() };
        let whole = damaged(&damage, 1.0, 0).len();
        for pass in 0..50 {
            let short = damaged(&damage, 0.5, pass);
            assert!(!short.is_empty() && short.len() <= whole * 11 / 20, "{short}");
            assert!(!short.contains("not") || short.contains("will not raise"), "{short}");
        }
        assert!(!damaged(&damage, 0.0, 1).is_empty());
    }

    #[test]
    fn bad_values_are_refused_and_short_sentences_are_not_emptied() {
        let damage = Damage::training();
        assert!(damage.validate().is_ok() && Damage::writing().validate().is_ok());
        for bad in [
            Damage { function: vec![0.5, 1.1], ..damage.clone() },
            Damage { function: Vec::new(), ..damage.clone() },
            Damage { content: f32::NAN, ..damage.clone() },
            Damage { noise: Vec::new(), ..damage.clone() },
            Damage { noise: vec![-1.0], ..damage.clone() },
            Damage { phrase: vec![3, 0], ..damage.clone() },
        ] {
            assert!(matches!(bad.validate(), Err(Error::Input { .. })), "{bad:?}");
        }
        let all = Damage { function: vec![1.0], ..damage };
        assert_eq!(all.apply(&Words::read("It is what it is."), 1.0, (1, 1, 1)).split(' ').count(), 5);
        assert_eq!(all.apply(&Words::read(""), 1.0, (1, 1, 1)), "");
    }
}
