//! Examples out of running text: a model for a domain from nothing.

use serde::{Deserialize, Serialize};

use super::Example;
use crate::random::Stream;
use crate::text::sentence;
use crate::text::tokenizer::Tokenizer;
use crate::text::train_tokenizer::{SENTINELS, sentinel};
use crate::{Error, Result};

/// What is learned from a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// The next token.
    Causal,
    /// The spans that were left out (Raffel et al. 2020, section 3.1.4).
    Spans,
    /// The whole text from one with spans left out (Lewis et al. 2020, text infilling).
    Denoising,
}

/// Share of the tokens that is left out, and mean length of a span (T5: 0.15 and 3).
const NOISE: f64 = 0.15;
const SPAN: f64 = 3.0;

/// Runs of whole sentences of each document, of at most `longest` tokens: the document's number and the tokens. The last
/// run of a document ends with `end`. A sentence that is longer is cut.
///
/// # Errors
/// The tokenizer's; [`Error::Input`] when there is no text.
pub fn windows(documents: &[String], tokenizer: &Tokenizer, longest: usize, end: u32) -> Result<Vec<(u64, Vec<u32>)>> {
    let longest = longest.max(2);
    let mut windows: Vec<(u64, Vec<u32>)> = Vec::new();
    for (number, document) in (0..).zip(documents) {
        let mut window: Vec<u32> = Vec::new();
        for text in sentence::split(document) {
            let mut ids = tokenizer.encode(&if window.is_empty() { text.to_owned() } else { format!(" {text}") })?;
            if !window.is_empty() && window.len() + ids.len() > longest {
                windows.push((number, std::mem::take(&mut window)));
                ids = tokenizer.encode(text)?;
            }
            window.extend(ids);
            while window.len() > longest {
                let rest = window.split_off(longest);
                windows.push((number, std::mem::replace(&mut window, rest)));
            }
        }
        if !window.is_empty() {
            window.push(end);
            windows.push((number, window));
        }
    }
    if windows.is_empty() {
        return Err(Error::input("the corpus", "at least one text", "none"));
    }
    Ok(windows)
}

/// Examples out of windows. `pass`: number of the pass over the corpus; each leaves out other spans.
///
/// A causal model learns how a document begins from `end`, which stands for what was before it. What an encoder reads
/// ends with `end`, as does what a decoder writes.
///
/// # Errors
/// [`Error::Input`] when the tokenizer lacks the tokens that stand for spans.
pub fn examples(
    windows: &[(u64, Vec<u32>)],
    task: Task,
    tokenizer: &Tokenizer,
    end: u32,
    (seed, pass): (u64, u64),
) -> Result<Vec<Example>> {
    const STAGE: u32 = 16;
    if task == Task::Causal {
        let begins = |i: usize| i == 0 || windows[i - 1].0 != windows[i].0;
        let example = |(i, (group, ids)): (usize, &(u64, Vec<u32>))| Example {
            group: *group,
            prompt: if begins(i) { vec![end] } else { Vec::new() },
            target: ids.clone(),
        };
        return Ok(windows.iter().enumerate().map(example).filter(|e| !e.is_empty()).collect());
    }
    let sentinels: Option<Vec<u32>> = (0..SENTINELS).map(|i| tokenizer.id(&sentinel(i))).collect();
    let Some(sentinels) = sentinels else {
        let (first, last) = (sentinel(0), sentinel(SENTINELS - 1));
        return Err(Error::input("the tokenizer", format!("the tokens {first} to {last}"), "not all of them"));
    };
    let mut out = Vec::new();
    for (i, (group, ids)) in windows.iter().enumerate() {
        let text = ids.strip_suffix(&[end]).unwrap_or(ids);
        if text.len() < 4 {
            continue;
        }
        let mut stream = Stream::new(seed, STAGE, (pass << 40) + i as u64, 0);
        let (mut prompt, mut spans) = (Vec::new(), Vec::new());
        for (kept, left_out, mark) in corrupted(text, &sentinels, &mut stream) {
            prompt.extend_from_slice(kept);
            spans.push(mark);
            prompt.push(mark);
            spans.extend_from_slice(left_out);
        }
        prompt.push(end);
        let mut target = if task == Task::Spans { spans } else { text.to_vec() };
        target.push(end);
        out.push(Example { group: *group, prompt, target });
    }
    if out.is_empty() {
        return Err(Error::input("the corpus", "a text of at least four tokens", "none"));
    }
    Ok(out)
}

/// A text as alternating stretches that are kept and left out, each pair with its sentinel.
fn corrupted<'a>(text: &'a [u32], sentinels: &[u32], stream: &mut Stream) -> Vec<(&'a [u32], &'a [u32], u32)> {
    let noise = ((text.len() as f64 * NOISE).round() as usize).clamp(1, text.len() - 1);
    let spans = ((noise as f64 / SPAN).round() as usize).clamp(1, noise.min(text.len() - noise)).min(sentinels.len());
    let (kept, left_out) = (parts(text.len() - noise, spans, stream), parts(noise, spans, stream));
    let mut rest = text;
    let mut out = Vec::with_capacity(spans);
    for ((k, n), mark) in kept.into_iter().zip(left_out).zip(sentinels) {
        let (before, after) = rest.split_at(k.min(rest.len()));
        let (gone, after) = after.split_at(n.min(after.len()));
        out.push((before, gone, *mark));
        rest = after;
    }
    out
}

/// `total` in `n` parts of at least 1, all divisions equally likely.
fn parts(total: usize, n: usize, stream: &mut Stream) -> Vec<usize> {
    // n - 1 of the total - 1 places between two things.
    let mut cuts = Vec::with_capacity(n + 1);
    let (mut wanted, mut places) = (n - 1, total - 1);
    for place in 1..total {
        if stream.below(places) < wanted {
            cuts.push(place);
            wanted -= 1;
        }
        places -= 1;
        if wanted == 0 {
            break;
        }
    }
    cuts.push(total);
    let mut before = 0;
    cuts.into_iter().map(|cut| cut - std::mem::replace(&mut before, cut)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::train_tokenizer::{END, Kind, train};

    fn corpus() -> Vec<String> {
        let sentence = |i: usize| format!("Company {i} said its profit rose to {} mln dlrs in the quarter.", 3 * i);
        (0..60).map(|i| [sentence(i), sentence(i + 1), sentence(i + 2)].join(" ")).collect()
    }

    #[test]
    fn windows_hold_every_token_of_whole_sentences() -> Result<()> {
        let (corpus, end) = (corpus(), END.0);
        let tokenizer = train(Kind::Bpe, &corpus, 600)?;
        let windows = windows(&corpus, &tokenizer, 40, end)?;
        assert!(windows.iter().all(|(_, ids)| ids.len() <= 41));
        for (number, document) in corpus.iter().enumerate() {
            let mine: Vec<&Vec<u32>> = windows.iter().filter(|w| w.0 == number as u64).map(|w| &w.1).collect();
            let texts = mine.iter().map(|ids| tokenizer.decode(ids)).collect::<Result<Vec<_>>>()?;
            assert_eq!(&texts.join(" "), document);
            assert!(texts.iter().all(|t| t.starts_with("Company") && t.ends_with('.')), "{texts:?}");
            assert_eq!(mine.iter().filter(|ids| ids.last() == Some(&end)).count(), 1);
        }
        // A sentence without end is cut.
        let long = vec!["word ".repeat(500)];
        assert!(super::windows(&long, &tokenizer, 32, end)?.iter().all(|w| w.1.len() <= 33));
        assert!(super::windows(&[" ".into()], &tokenizer, 32, end).is_err());

        let causal = examples(&windows, Task::Causal, &tokenizer, end, (1, 0))?;
        assert_eq!(causal.iter().filter(|e| e.prompt == [end]).count(), corpus.len());
        Ok(())
    }

    #[test]
    fn spans_put_back_give_the_text() -> Result<()> {
        let (corpus, end) = (corpus(), END.0);
        let tokenizer = train(Kind::Bpe, &corpus, 600)?;
        let windows = windows(&corpus, &tokenizer, 64, end)?;
        let first = examples(&windows, Task::Spans, &tokenizer, end, (1, 0))?;
        assert_eq!(first, examples(&windows, Task::Spans, &tokenizer, end, (1, 0))?);
        assert_ne!(first, examples(&windows, Task::Spans, &tokenizer, end, (1, 1))?);
        let marks: Vec<u32> = (0..SENTINELS).filter_map(|i| tokenizer.id(&sentinel(i))).collect();
        let (mut all, mut gone) = (0, 0);
        for (example, (_, ids)) in first.iter().zip(&windows) {
            let text = ids.strip_suffix(&[end]).unwrap_or(ids);
            let span = |mark: u32| {
                let from = example.target.iter().position(|&t| t == mark).map_or(0, |i| i + 1);
                let rest = &example.target[from..example.target.len() - 1];
                rest.iter().copied().take_while(|t| !marks.contains(t)).collect::<Vec<u32>>()
            };
            let read = example.prompt.strip_suffix(&[end]).unwrap_or_default();
            let back: Vec<u32> =
                read.iter().flat_map(|&t| if marks.contains(&t) { span(t) } else { vec![t] }).collect();
            assert_eq!(back, text);
            all += text.len();
            gone += text.len() - read.iter().filter(|t| !marks.contains(t)).count();
        }
        assert!((10..20).contains(&(100 * gone / all)), "{gone} of {all}");
        let denoised = examples(&windows, Task::Denoising, &tokenizer, end, (1, 0))?;
        assert_eq!(denoised[0].prompt, first[0].prompt);
        let text = windows[0].1.strip_suffix(&[end]).unwrap_or(&windows[0].1);
        assert_eq!(denoised[0].target, [text, &[end]].concat());
        Ok(())
    }

    #[test]
    fn parts_are_whole_and_of_any_size() {
        let mut stream = Stream::new(1, 2, 3, 4);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let found = parts(6, 3, &mut stream);
            assert!(found.len() == 3 && found.iter().sum::<usize>() == 6 && found.iter().all(|&n| n > 0), "{found:?}");
            seen.insert(found);
        }
        assert_eq!(seen.len(), 10, "5 places, 2 cuts");
        assert_eq!((parts(4, 1, &mut stream), parts(3, 3, &mut stream)), (vec![4], vec![1, 1, 1]));
    }
}
