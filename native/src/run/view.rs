//! Printing pairs on a terminal with marked differences, and filtering and sorting them.

use std::cmp::Ordering;
use std::fmt::Write;

use record::{Error, Result};
use record::{Kept, Refusal, Scored, Task};

/// A score of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// len(y) / len(x), in characters.
    LengthRatio,
    /// ROUGE-L F1.
    RougeL,
    /// 1 if numbers agree, else 0.
    Numbers,
    /// 1 if entities agree, else 0.
    Entities,
    /// 1 if negation, modality, degree and direction agree, else 0.
    Modality,
    /// Cosine of the sentence embeddings.
    Cosine,
    /// Probability that x entails y.
    Forward,
    /// Probability that y entails x.
    Backward,
}

impl Score {
    /// All scores, in the order of the columns.
    pub const ALL: [Self; 8] = [
        Self::LengthRatio,
        Self::RougeL,
        Self::Numbers,
        Self::Entities,
        Self::Modality,
        Self::Cosine,
        Self::Forward,
        Self::Backward,
    ];

    /// Name of the score's column in the dataset.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LengthRatio => "length_ratio",
            Self::RougeL => "rouge_l",
            Self::Numbers => "numbers",
            Self::Entities => "entities",
            Self::Modality => "modality",
            Self::Cosine => "cosine",
            Self::Forward => "forward",
            Self::Backward => "backward",
        }
    }

    /// The score with a column name; `-` and `_` are equivalent.
    ///
    /// # Errors
    /// [`Error::Input`] for another name; it lists all names.
    pub fn parse(name: &str) -> Result<Self> {
        let wanted = name.replace('-', "_");
        Self::ALL.into_iter().find(|s| s.name() == wanted).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::input("score", format_args!("one of {names}"), format_args!("`{name}`"))
        })
    }

    /// The score of a pair; `None` if it was not computed.
    #[must_use]
    pub fn of(self, s: &Scored) -> Option<f32> {
        match self {
            Self::LengthRatio => Some(s.length_ratio),
            Self::RougeL => Some(s.rouge_l),
            Self::Numbers => s.numbers,
            Self::Entities => s.entities,
            Self::Modality => s.modality,
            Self::Cosine => s.cosine,
            Self::Forward => s.forward,
            Self::Backward => s.backward,
        }
    }
}

/// Which pairs to show; fields that are `None` or empty do not restrict.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Only pairs of this task.
    pub task: Option<Task>,
    /// Only kept pairs (`true`) or only refused ones.
    pub kept: Option<bool>,
    /// Only pairs refused for this reason.
    pub refused_by: Option<Refusal>,
    /// Only pairs of this context.
    pub context: Option<u64>,
    /// Ranges of scores, bounds included; pairs without the score are left out.
    pub scores: Vec<(Score, f32, f32)>,
}

impl Filter {
    /// Whether a pair is to be shown.
    #[must_use]
    pub fn admits(&self, s: &Scored) -> bool {
        self.task.is_none_or(|task| s.task == task)
            && self.kept.is_none_or(|kept| s.kept() == kept)
            && self.refused_by.is_none_or(|critic| s.refused_by == Some(critic))
            && self.context.is_none_or(|context| s.context == context)
            && self.scores.iter().all(|(score, from, to)| score.of(s).is_some_and(|v| v >= *from && v <= *to))
    }
}

/// Sorts pairs by a score, stably; pairs without the score are moved to the end.
pub fn sort(pairs: &mut [Kept], by: Score, highest_first: bool) {
    pairs.sort_by(|a, b| match (by.of(&a.scored), by.of(&b.scored)) {
        (Some(a), Some(b)) if highest_first => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
}

/// How a pair is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Width of the terminal in columns; below 80, x is printed above y instead of beside it.
    pub width: usize,
    /// Whether differences are marked by ANSI colours instead of brackets.
    pub colour: bool,
}

/// Formats a pair as lines: task, rows, decision and scores, then x and y. Words that only x has are marked `[-so-]`,
/// words that only y has `{+so+}`; in colour they are red and green and underlined.
#[must_use]
pub fn render(pair: &Kept, style: Style) -> String {
    let s = &pair.scored;
    let verdict = s.refused_by.map_or_else(|| "kept".to_owned(), |refusal| format!("refused by {refusal}"));
    let mut out = format!("{} {}/{}/{}  {verdict}", s.task.name(), s.context, s.x, s.y);
    for score in Score::ALL {
        if let Some(v) = score.of(s) {
            let _ = write!(out, "  {} {v:.2}", score.name());
        }
    }
    out = wrap(&out.split(' ').filter(|w| !w.is_empty()).map(Word::same).collect::<Vec<_>>(), style.width, false)
        .join("\n");
    out.push('\n');
    let (x, y) = (plain(&pair.text), plain(&pair.target));
    let (x, y) = diff(&x, &y);
    if style.width >= 80 {
        let column = (style.width - 3) / 2;
        let (left, right) = (wrap(&x, column, style.colour), wrap(&y, column, style.colour));
        for i in 0..left.len().max(right.len()) {
            let l = left.get(i).map_or("", String::as_str);
            let pad = " ".repeat(column.saturating_sub(shown_width(l)));
            let line = format!("{l}{pad} | {}", right.get(i).map_or("", String::as_str));
            out.push_str(line.trim_end());
            out.push('\n');
        }
    } else {
        for (name, words) in [("x", x), ("y", y)] {
            for (i, line) in wrap(&words, style.width.saturating_sub(3), style.colour).iter().enumerate() {
                let _ = writeln!(out, "{}  {line}", if i == 0 { name } else { " " });
            }
        }
    }
    out
}

/// Text without terminal control: control and text-direction characters become U+FFFD, white space becomes a space.
pub(crate) fn plain(text: &str) -> String {
    let replace = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() => '\u{fffd}',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(replace).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Same,
    OnlyX,
    OnlyY,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word<'a>(&'a str, Mark);

impl<'a> Word<'a> {
    fn same(text: &'a str) -> Self {
        Self(text, Mark::Same)
    }

    fn draw(self, colour: bool) -> String {
        match (self.1, colour) {
            (Mark::Same, _) => self.0.to_owned(),
            (Mark::OnlyX, false) => format!("[-{}-]", self.0),
            (Mark::OnlyY, false) => format!("{{+{}+}}", self.0),
            (Mark::OnlyX, true) => format!("\u{1b}[4;31m{}\u{1b}[0m", self.0),
            (Mark::OnlyY, true) => format!("\u{1b}[4;32m{}\u{1b}[0m", self.0),
        }
    }
}

/// Marks the words that are not in the longest common subsequence. Nothing is marked in texts of more than 1000 words.
fn diff<'a>(x: &'a str, y: &'a str) -> (Vec<Word<'a>>, Vec<Word<'a>>) {
    let (a, b): (Vec<_>, Vec<_>) = (x.split_whitespace().collect(), y.split_whitespace().collect());
    if a.len() > 1000 || b.len() > 1000 {
        return (a.into_iter().map(Word::same).collect(), b.into_iter().map(Word::same).collect());
    }
    let wide = b.len() + 1;
    let mut length = vec![0u16; (a.len() + 1) * wide];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            length[i * wide + j] = if a[i] == b[j] {
                length[(i + 1) * wide + j + 1] + 1
            } else {
                length[(i + 1) * wide + j].max(length[i * wide + j + 1])
            };
        }
    }
    let mut left: Vec<_> = a.iter().map(|w| Word(w, Mark::OnlyX)).collect();
    let mut right: Vec<_> = b.iter().map(|w| Word(w, Mark::OnlyY)).collect();
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            left[i].1 = Mark::Same;
            right[j].1 = Mark::Same;
            i += 1;
            j += 1;
        } else if length[(i + 1) * wide + j] >= length[i * wide + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    (left, right)
}

/// Breaks words into lines of at most `width` columns; longer words are split.
fn wrap(words: &[Word<'_>], width: usize, colour: bool) -> Vec<String> {
    let width = width.max(8);
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in words.iter().flat_map(|w| pieces(*w, width - 4)) {
        let drawn = word.draw(colour);
        let columns = shown_width(&drawn);
        if used > 0 && used + 1 + columns > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(&drawn);
        used += columns;
    }
    if used > 0 || lines.is_empty() {
        lines.push(line);
    }
    lines
}

fn pieces(word: Word<'_>, width: usize) -> Vec<Word<'_>> {
    let (mut out, mut start, mut used) = (Vec::new(), 0, 0);
    for (at, c) in word.0.char_indices() {
        let columns = char_width(c);
        if used + columns > width {
            out.push(Word(&word.0[start..at], word.1));
            (start, used) = (at, 0);
        }
        used += columns;
    }
    out.push(Word(&word.0[start..], word.1));
    out
}

/// Width of a printed text in columns, not counting colour sequences.
pub(crate) fn shown_width(text: &str) -> usize {
    let (mut width, mut escape) = (0, false);
    for c in text.chars() {
        match c {
            '\u{1b}' => escape = true,
            'm' if escape => escape = false,
            c if !escape => width += char_width(c),
            _ => {}
        }
    }
    width
}

/// Approximate width of a character in columns: two for East Asian wide characters and emoji, none for combining marks.
fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200d | 0xfe00..=0xfe0f | 0x1f3fb..=0x1f3ff => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => 2,
        0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::fixture::range_data;
    use super::*;

    fn pair(text: &str, target: &str) -> Kept {
        let scored = range_data(&(3..4)).scored[0].clone();
        Kept { text: text.into(), target: target.into(), scored }
    }

    #[test]
    fn stacked_marks_words() {
        let out = render(&pair("the mayor said no", "the chief mayor denied"), Style { width: 60, colour: false });
        assert!(out.starts_with("paraphrase 3/0/1 kept length_ratio 1.03 rouge_l 0.30"), "{out}");
        assert!(out.contains("x  the mayor [-said-] [-no-]\n") && out.contains("y  the {+chief+} mayor {+denied+}\n"));
    }

    #[test]
    fn every_line_fits_the_width() {
        let long = "word ".repeat(60) + &"x".repeat(300) + " 日本語の長い文章 e\u{301}nd";
        for width in [0, 5, 20, 79, 80, 81, 200] {
            for colour in [false, true] {
                let out = render(&pair(&long, &long.replace("word", "wort")), Style { width, colour });
                assert!(out.lines().all(|l| shown_width(l) <= width.max(11)), "{width}\n{out}");
                assert_eq!(out.contains('\u{1b}'), colour);
            }
        }
    }

    #[test]
    fn text_cannot_steer_the_terminal() {
        let out = render(&pair("a \u{1b}[2J b\u{202e}c", "\u{7}"), Style { width: 100, colour: false });
        assert!(!out.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{out:?}");
        assert!(render(&pair("", ""), Style { width: 100, colour: false }).ends_with('\n'));
    }

    #[test]
    fn filter_and_sort() {
        let rows = range_data(&(0..10)).scored;
        let admitted = |f: &Filter| rows.iter().filter(|s| f.admits(s)).count();
        assert_eq!(admitted(&Filter::default()), 60);
        assert_eq!(admitted(&Filter { task: Some(Task::Summary), kept: Some(true), ..Filter::default() }), 5);
        assert_eq!(admitted(&Filter { refused_by: Some(Refusal::Entities), context: Some(1), ..Filter::default() }), 5);
        assert_eq!(admitted(&Filter { scores: vec![(Score::Backward, 0.0, 1.0)], ..Filter::default() }), 10);
        let mut pairs: Vec<_> =
            rows.iter().map(|s| Kept { text: String::new(), target: String::new(), scored: s.clone() }).collect();
        sort(&mut pairs, Score::parse("rouge-l").unwrap(), true);
        assert!(pairs.windows(2).all(|w| w[0].scored.rouge_l >= w[1].scored.rouge_l));
        sort(&mut pairs, Score::Backward, false);
        assert!(pairs[9].scored.backward.is_some() && pairs[10].scored.backward.is_none());
        assert!(Score::parse("bleu").unwrap_err().to_string().contains("rouge_l"));
    }
}
