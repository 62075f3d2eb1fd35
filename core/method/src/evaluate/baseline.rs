//! Baselines that every table includes, since BLEU and ROUGE reward copying: the input itself, and for summaries its
//! first words. Also the zero-shot prompt for language models that were not trained for the task.

use super::{Item, System};
use record::Task;
use text::metric::token::whitespace_tokens;

/// Default number of words in the lead baseline.
pub const LEAD: usize = 8;

/// The copy baseline: the unchanged input.
#[must_use]
pub fn copy(items: &[Item]) -> System {
    System { name: "copy".to_owned(), outputs: items.iter().map(|item| item.source.clone()).collect() }
}

/// The lead baseline: the first `words` white-space tokens of the input.
#[must_use]
pub fn lead(items: &[Item], words: usize) -> System {
    let first = |item: &Item| whitespace_tokens(&item.source).take(words).collect::<Vec<_>>().join(" ");
    System { name: format!("lead-{words}"), outputs: items.iter().map(first).collect() }
}

/// Name of the row for a zero-shot language model.
pub const ZERO_SHOT: &str = "zero-shot";

/// The zero-shot prompt: one line of instruction and the text, without examples.
#[must_use]
pub fn question(task: Task, text: &str) -> String {
    let instruction = match task {
        Task::Paraphrase => {
            "Say the same thing in different words. Keep every fact, name and number. Answer with one sentence only."
        }
        Task::Summary => {
            "Summarise the text in one sentence that is shorter than the text. Add nothing. Answer with the summary only."
        }
    };
    format!("{instruction}\n\n{text}")
}

/// Extracts the answer from the output of a model: the first line that is not empty, without a label ("Paraphrase:
/// ...") and enclosing quotation marks. Empty if there is none.
#[must_use]
pub fn answer(task: Task, written: &str) -> String {
    let mut lines = written.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut line = lines.next().unwrap_or_default();
    if let Some((label, rest)) = line.split_once(':') {
        let label = label.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if [task.name(), "answer", "output", "rewritten", "sentence"].contains(&label.as_str()) {
            // A label may be on a line of its own.
            let rest = rest.trim_matches(|c: char| c.is_whitespace() || c == '*');
            line = Some(rest).filter(|rest| !rest.is_empty()).or_else(|| lines.next()).unwrap_or_default();
        }
    }
    for (open, close) in [('"', '"'), ('\u{201c}', '\u{201d}'), ('\'', '\'')] {
        let inner = line.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(inner) = inner.filter(|inner| !inner.contains([open, close])) {
            return inner.trim().to_owned();
        }
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(source: &str) -> Item {
        Item { source: source.to_owned(), ..Item::default() }
    }

    #[test]
    fn copies_and_leads() {
        let items = [item("One two  three\nfour."), item(""), item("😀"), item(&"a ".repeat(100_000))];
        assert_eq!(copy(&items).outputs[0], "One two  three\nfour.");
        let lead = lead(&items, 3);
        assert_eq!(
            (lead.name.as_str(), &lead.outputs[..]),
            ("lead-3", &["One two three", "", "😀", "a a a"].map(String::from)[..])
        );
        assert_eq!(super::lead(&items, 0).outputs, ["", "", "", ""]);
    }

    #[test]
    fn answers_are_taken_out_of_their_wrapping() {
        for (written, expected) in [
            ("\n\n \"The sky was clear.\" \nAnd more", "The sky was clear."),
            ("Paraphrase: The sky was clear.", "The sky was clear."),
            ("**Paraphrase:**\n\nThe sky was clear.", "The sky was clear."),
            ("Answer:\n\u{201c}Clear sky.\u{201d}", "Clear sky."),
            ("\"No\" and \"yes\"", "\"No\" and \"yes\""),
            ("He said: go.", "He said: go."),
            ("", ""),
            ("\"", "\""),
            ("Answer:", ""),
        ] {
            assert_eq!(answer(Task::Paraphrase, written), expected, "{written:?}");
        }
        assert_eq!(answer(Task::Summary, "Summary: Rain."), "Rain.");
        assert_ne!(question(Task::Summary, "x"), question(Task::Paraphrase, "x"));
        assert!(question(Task::Summary, "x < y").ends_with("\n\nx < y"));
    }
}
