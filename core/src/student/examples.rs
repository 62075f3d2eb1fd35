//! Pairs of a dataset as examples of a student.

use std::collections::BTreeMap;

use super::Format;
use crate::record::{Kept, Task};
use crate::text::tokenizer::Tokenizer;
use crate::train::Example;
use crate::{Error, Result};

/// What became of the pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// Examples, in the order of the pairs.
    pub examples: Vec<Example>,
    /// Pairs that became none, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// Makes examples. A paraphrase pair is learned both ways, as it is entailed both ways.
///
/// `longest`: most tokens of prompt and target together; `eos`: the token that ends a target.
///
/// # Errors
/// The tokenizer's; [`Error::Input`] when no example is left.
pub fn examples(format: &Format, pairs: &[Kept], tokenizer: &Tokenizer, eos: u32, longest: usize) -> Result<Made> {
    let mut made = Made::default();
    for pair in pairs {
        let task = pair.scored.task;
        let mut add = |source: &str, target: &str| -> Result<()> {
            let length = target.chars().count() as f32 / source.chars().count().max(1) as f32;
            let prompt = tokenizer.encode(&format.prompt(task, source, length))?;
            let mut target = tokenizer.encode(&format.target(target))?;
            target.push(eos);
            if prompt.len() + target.len() > longest {
                *made.dropped.entry("longer than the student's context").or_default() += 1;
            } else {
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
