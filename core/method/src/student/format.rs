//! The prompt format of a student. It is stored beside the weights, so that a student is prompted as it was trained.

use serde::{Deserialize, Serialize};

use crate::reword::{Damage, words::Words};
use crate::{Error, Result};
use record::Task;

/// Name of the format's file beside the weights.
pub const FILE: &str = "impossible.json";

/// The text around a source sentence in a student's prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    /// Text before the source of a paraphrase.
    pub paraphrase: String,
    /// Text before the source of a summary; `{length}` is replaced by the summary's length in percent of the source's,
    /// in steps of 10.
    pub summary: String,
    /// Text between source and target; empty for a model with an encoder.
    pub separator: String,
    /// Tasks that the student was trained on.
    pub tasks: Vec<Task>,
    /// Set for a reworder: it is not given its source, but the source's words, damaged anew for each version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
}

impl Format {
    /// The default format of a causal student.
    #[must_use]
    pub fn causal(tasks: &[Task]) -> Self {
        Self {
            paraphrase: "Paraphrase: ".into(),
            summary: "Shorten to {length}%: ".into(),
            separator: "\nAnswer:".into(),
            tasks: tasks.to_vec(),
            damage: None,
        }
    }

    /// The default format of a student with an encoder.
    #[must_use]
    pub fn encoder_decoder(tasks: &[Task]) -> Self {
        Self {
            paraphrase: "paraphrase: ".into(),
            summary: "shorten to {length}%: ".into(),
            separator: String::new(),
            tasks: tasks.to_vec(),
            damage: None,
        }
    }

    /// The format of a reworder, with the damage from which it writes versions.
    #[must_use]
    pub fn reworder(encoder: bool, damage: Damage) -> Self {
        let (before, separator) = if encoder { ("words: ", "") } else { ("Words: ", "\nSentence:") };
        Self {
            paraphrase: before.into(),
            summary: before.into(),
            separator: separator.into(),
            tasks: Task::ALL.to_vec(),
            damage: Some(damage),
        }
    }

    /// The prompt of a reworder with these words.
    #[must_use]
    pub fn around(&self, words: &str) -> String {
        format!("{}{words}{}", self.paraphrase, self.separator)
    }

    /// The prompts of so many versions of a source with this number: one for all, or for a reworder one for each.
    #[must_use]
    pub fn prompts(
        &self,
        (task, length): (Task, f32),
        source: &str,
        versions: u32,
        (seed, number): (u64, u64),
    ) -> Vec<String> {
        let Some(damage) = &self.damage else { return vec![self.prompt(task, source, length)] };
        let words = Words::read(source);
        let share = if task == Task::Summary { length } else { 1.0 };
        (0..versions).map(|version| self.around(&damage.apply(&words, share, (seed, number, version)))).collect()
    }

    /// The length of a summary in percent of its source's characters, rounded to a multiple of 10 from 10 to 100.
    #[must_use]
    pub fn bucket(ratio: f32) -> u32 {
        (1..=10)
            .min_by(|a, b| (*a as f32 - ratio * 10.0).abs().total_cmp(&(*b as f32 - ratio * 10.0).abs()))
            .unwrap_or(5)
            * 10
    }

    /// The student's prompt. `length` is the summary's length as a fraction of the source's; paraphrases ignore it.
    #[must_use]
    pub fn prompt(&self, task: Task, source: &str, length: f32) -> String {
        let source = source.split_whitespace().collect::<Vec<_>>().join(" ");
        let before = match task {
            Task::Paraphrase => self.paraphrase.clone(),
            Task::Summary => self.summary.replace("{length}", &Self::bucket(length).to_string()),
        };
        format!("{before}{source}{}", self.separator)
    }

    /// The text that the student should generate, without the end-of-text token.
    #[must_use]
    pub fn target(&self, target: &str) -> String {
        if self.separator.is_empty() { target.to_owned() } else { format!(" {target}") }
    }

    /// Parses a format; `file` is the file's name in messages.
    ///
    /// # Errors
    /// [`Error::Broken`] for anything but a format in JSON.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let format: Self = serde_json::from_slice(bytes).map_err(|e| Error::broken(file, e.to_string()))?;
        format.damage.as_ref().map_or(Ok(()), Damage::validate).map_err(|e| Error::broken(file, e.to_string()))?;
        Ok(format)
    }

    /// The format as JSON.
    ///
    /// # Errors
    /// [`Error::Broken`] if it cannot be written as JSON, which should not happen.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let value = serde_json::to_value(self).and_then(|value| serde_json::to_vec_pretty(&value));
        value.map_err(|e| Error::broken(FILE, e.to_string()))
    }

    /// Checks that the student was trained on a task.
    ///
    /// # Errors
    /// [`Error::Input`] if it was not.
    pub fn check(&self, task: Task) -> Result<()> {
        if self.tasks.contains(&task) {
            return Ok(());
        }
        let found: Vec<&str> = self.tasks.iter().map(|t| t.name()).collect();
        Err(Error::input("the student", format!("one trained on {} pairs", task.name()), found.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts() {
        let format = Format::causal(&Task::ALL);
        assert_eq!(format.prompt(Task::Paraphrase, " It  rained.\n", 1.0), "Paraphrase: It rained.\nAnswer:");
        assert_eq!(format.prompt(Task::Summary, "It rained.", 0.56), "Shorten to 60%: It rained.\nAnswer:");
        assert_eq!(format.target("Rain."), " Rain.");
        let buckets = [0.0, 0.04, 0.16, 0.3, 0.79, 1.0, 7.0, f32::NAN].map(Format::bucket);
        assert_eq!(buckets[..7], [10, 10, 20, 30, 80, 100, 100]);
        assert!((10..=100).contains(&buckets[7]));
    }

    #[test]
    fn a_reworder_gets_other_words_for_each_version() {
        let format = Format::reworder(false, Damage::writing());
        let source = "The firm said it will raise its dividend on the shares of the old bank in March.";
        let prompts = |versions, number| format.prompts((Task::Paraphrase, 1.0), source, versions, (7, number));
        let four = prompts(4, 1);
        assert_eq!((four.len(), &four[..2]), (4, &prompts(2, 1)[..]));
        assert!(four.iter().collect::<std::collections::BTreeSet<_>>().len() > 2 && four != prompts(4, 2), "{four:?}");
        assert!(
            four.iter().all(|p| p.starts_with("Words: ") && p.ends_with("\nSentence:") && p.contains("will raise"))
        );
        assert_eq!(Format::causal(&Task::ALL).prompts((Task::Paraphrase, 1.0), source, 9, (7, 1)).len(), 1);
        let bytes = format.to_bytes().unwrap_or_default();
        assert_eq!(Format::parse("f", &bytes), Ok(format));
        let bad = String::from_utf8_lossy(&bytes).replace("\"phrase\": [", "\"phrase\": [0,");
        assert!(matches!(Format::parse("f", bad.as_bytes()), Err(Error::Broken { .. })), "{bad}");
    }

    #[test]
    fn untrained_tasks_are_refused() {
        let format = Format::causal(&[Task::Summary]);
        assert!(format.check(Task::Summary).is_ok());
        let error = format.check(Task::Paraphrase).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("paraphrase") && error.contains("summary"), "{error}");
    }
}
