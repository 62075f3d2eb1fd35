//! Training examples of a student, from the pairs of a dataset.

use std::collections::BTreeMap;

use super::Format;
use crate::{Error, Result};
use lm::tokenizer::Tokenizer;
use lm::train::Example;
use record::{Kept, Task};

/// The training examples of a dataset, with the number of pairs that were dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examples {
    /// Examples, in the order of the pairs.
    pub examples: Vec<Example>,
    /// Task of each example.
    pub tasks: Vec<Task>,
    /// Number of dropped examples, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// Most copies of an example of the rarer task, the original included.
const MOST_REPEATS: usize = 4;

/// Repeats the examples of the rarer task, up to four copies each, so that one student learns both tasks. There are
/// often several times as many summaries as paraphrases, and a student trained on mostly summaries shortens paraphrases
/// too.
#[must_use]
pub fn balanced(mut made: Examples) -> Examples {
    let count = |task| made.tasks.iter().filter(|t| **t == task).count();
    let counts = Task::ALL.map(count);
    let rarer = Task::ALL[usize::from(counts[1] < counts[0])];
    let (few, many) = (counts[0].min(counts[1]), counts[0].max(counts[1]));
    if few == 0 {
        return made;
    }
    let again: Vec<Example> =
        made.examples.iter().zip(&made.tasks).filter(|(_, t)| **t == rarer).map(|(e, _)| e.clone()).collect();
    for _ in 1..(many / few).clamp(1, MOST_REPEATS) {
        made.examples.extend(again.iter().cloned());
        made.tasks.resize(made.examples.len(), rarer);
    }
    made
}

/// Makes training examples. A paraphrase pair gives one example in each direction, as its sentences entail each other.
///
/// `eos` is the token that ends a target. `encoder` says whether the student has an encoder, whose prompts end with
/// that token too. `longest` is the largest number of tokens of prompt and target together; with an encoder, of each of
/// them.
///
/// # Errors
/// Errors of the tokenizer; [`Error::Input`] when no example is left.
pub fn examples(
    format: &Format,
    pairs: &[Kept],
    tokenizer: &Tokenizer,
    (eos, encoder): (u32, bool),
    longest: usize,
) -> Result<Examples> {
    let mut made = Examples::default();
    for pair in pairs {
        let task = pair.scored.task;
        let mut add = |source: &str, target: &str| -> Result<()> {
            let length = target.chars().count() as f32 / source.chars().count().max(1) as f32;
            let mut prompt = tokenizer.encode_prompt(&format.prompt(task, source, length))?;
            prompt.extend(encoder.then_some(eos));
            let mut target = tokenizer.encode(&format.target(target))?;
            target.push(eos);
            let fits = if encoder { prompt.len().max(target.len()) } else { prompt.len() + target.len() };
            if fits > longest {
                *made.dropped.entry("longer than the student's context").or_default() += 1;
            } else {
                made.tasks.push(task);
                made.examples.push(Example { group: pair.scored.context, prompt, target });
            }
            Ok(())
        };
        add(&pair.text, &pair.target)?;
        if task == Task::Paraphrase {
            add(&pair.target, &pair.text)?;
        }
    }
    if made.examples.is_empty() {
        let found = if pairs.is_empty() { "no pairs".into() } else { format!("{} pairs, all longer", pairs.len()) };
        return Err(Error::input(
            "the dataset",
            format!("pairs of at most {longest} tokens with their prompt, so that the student can read them"),
            found,
        ));
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarer_task_is_repeated() {
        let example = |n: u64| Example { group: n, prompt: vec![1], target: vec![2] };
        let made = |paraphrases: usize, summaries: usize| Examples {
            examples: (0..paraphrases + summaries).map(|i| example(i as u64)).collect(),
            tasks: [vec![Task::Paraphrase; paraphrases], vec![Task::Summary; summaries]].concat(),
            dropped: BTreeMap::new(),
        };
        for (paraphrases, summaries, total) in [(2, 7, 13), (7, 2, 13), (1, 100, 104), (5, 5, 10), (0, 3, 3), (3, 4, 7)]
        {
            let balanced = balanced(made(paraphrases, summaries));
            assert_eq!((balanced.examples.len(), balanced.tasks.len()), (total, total));
        }
        let balanced = balanced(made(1, 3));
        assert_eq!(balanced.examples.iter().filter(|e| e.group == 0).count(), 3);
    }
}
