//! The words of a sentence as the damage sees them: which may fall out, which must stay, and which stay together.

use text::number::numbers;

/// What may happen to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Articles, auxiliaries, pronouns, prepositions: what a writer adds by himself.
    Function,
    /// Lower-case words that carry the content.
    Content,
    /// Numbers, names, negation, modality, degree, order, direction and quotations: never left out or replaced.
    Fixed,
}

/// A word of a sentence, without the punctuation around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its text; the first word of a sentence has a small letter if it is a function word.
    pub text: String,
    /// What may happen to it.
    pub kind: Kind,
    /// Whether the next word stays behind it: parts of a name, a number and its unit, "not" and its verb, a quotation.
    pub joined: bool,
}

/// A sentence as words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The words, in order.
    pub words: Vec<Word>,
    /// Whether the sentence is a question, which its words alone do not say.
    pub question: bool,
}

/// Words that are filled in from grammar alone.
const FUNCTION: &str = "a an the this that these those there here it its it's he she they we i you him her them us me his \
    their our my your hers theirs himself herself itself themselves who whom whose which what when where how why is are was \
    were be been being am has have had having do does did done of to in on at for with into onto upon within through across \
    along toward towards as and or but so then that's he's she's they're we're i'm you're there's while though although \
    because about";

/// Words that change what is claimed. Each stays in front of the word that it applies to.
const CLAIMS: &str = "not no never none nor neither without cannot hardly barely unless except will would shall should can \
    could may might must ought likely unlikely possibly probably perhaps maybe allegedly reportedly if whether more less most \
    least few fewer many much several some all every each any both half almost nearly around only just even too very first \
    last next former again also up down over under above below against";

/// Words that say order or direction; they stay, but may move with their phrase.
const RELATIONS: &str = "before after until till since than from by between during";

/// Marks that are taken off the ends of a word.
const AROUND: &[char] = &[',', ';', ':', '!', '?', '(', ')', '[', ']', '{', '}', '…', '—', '–', '"', '“', '”', '„'];

fn among(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|w| w == word)
}

fn capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// Quotation marks that open and that close; straight ones do both.
fn quotes(token: &str) -> (usize, usize, usize) {
    let count = |marks: &[char]| token.chars().filter(|c| marks.contains(c)).count();
    (count(&['“', '„']), count(&['”']), count(&['"']))
}

impl Words {
    /// Reads a sentence.
    #[must_use]
    pub fn read(sentence: &str) -> Self {
        let tokens: Vec<&str> = sentence.split_whitespace().collect();
        let question = sentence.trim_end().trim_end_matches(['"', '”', ')', '\'']).ends_with('?');
        let mut words: Vec<Word> = Vec::new();
        let mut quoted = false;
        for (at, token) in tokens.iter().enumerate() {
            let (opened, closed, straight) = quotes(token);
            let inside = quoted || opened > 0 || straight > 0;
            // A pair of straight marks in one word opens and closes.
            quoted = (quoted ^ (straight % 2 == 1)) || opened > closed;
            quoted &= closed <= opened;
            if inside {
                words.push(Word { text: (*token).to_owned(), kind: Kind::Fixed, joined: quoted });
                continue;
            }
            let last = at + 1 == tokens.len();
            let bare = token.trim_matches(AROUND);
            // A full stop inside a sentence belongs to an abbreviation.
            let bare = if last { bare.trim_end_matches('.') } else { bare };
            if bare.chars().any(char::is_alphanumeric) {
                let next = tokens.get(at + 1).map(|next| next.trim_matches(AROUND));
                // Punctuation separates what would else belong together.
                let next = next.filter(|_| !token.ends_with(AROUND));
                words.push(word(bare, words.is_empty(), next));
            }
        }
        if let Some(word) = words.last_mut() {
            word.joined = false;
        }
        Self { words, question }
    }

    /// The text of some of the words, in a given order; a question keeps its mark.
    #[must_use]
    pub fn text(&self, order: &[usize]) -> String {
        let mut text: Vec<&str> = order.iter().filter_map(|&at| self.words.get(at)).map(|w| w.text.as_str()).collect();
        if self.question {
            text.push("?");
        }
        text.join(" ")
    }
}

fn word(bare: &str, first: bool, next: Option<&str>) -> Word {
    let lower = bare.to_lowercase().replace('’', "'");
    let made = |text: &str, kind, joined| Word { text: text.to_owned(), kind, joined };
    let small = if first && lower != "i" && !lower.starts_with("i'") { lower.as_str() } else { bare };
    let named = capital(bare) && !first;
    if bare.chars().any(|c| c.is_numeric()) || !numbers(bare).is_empty() {
        // The unit or the counted thing stays behind its number.
        return made(if first && capital(bare) { small } else { bare }, Kind::Fixed, true);
    }
    if !named && (among(CLAIMS, &lower) || lower.ends_with("n't")) {
        return made(small, Kind::Fixed, true);
    }
    if !named && among(RELATIONS, &lower) {
        return made(small, Kind::Fixed, false);
    }
    if !named && among(FUNCTION, &lower) {
        return made(small, Kind::Function, false);
    }
    if capital(bare) {
        // Of the first word nothing says whether it is a name.
        return made(bare, Kind::Fixed, next.is_some_and(capital));
    }
    made(bare, Kind::Content, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(sentence: &str) -> Vec<String> {
        let mark = |w: &Word| {
            let kind = match w.kind {
                Kind::Function => "f",
                Kind::Content => "c",
                Kind::Fixed => "x",
            };
            format!("{}/{kind}{}", w.text, if w.joined { "+" } else { "" })
        };
        Words::read(sentence).words.iter().map(mark).collect()
    }

    #[test]
    fn what_guards_facts_is_fixed_and_stays_with_its_word() {
        assert_eq!(
            kinds("The Bank of New England will not raise its rate by 12 cts before March."),
            [
                "the/f",
                "Bank/x",
                "of/f",
                "New/x+",
                "England/x",
                "will/x+",
                "not/x+",
                "raise/c",
                "its/f",
                "rate/c",
                "by/x",
                "12/x+",
                "cts/c",
                "before/x",
                "March/x"
            ]
        );
        assert_eq!(kinds("Shares rose 5%, analysts said."), ["Shares/x", "rose/c", "5%/x+", "analysts/c", "said/c"]);
        assert_eq!(
            kinds("Mr. Smith doesn’t say \"we are ready\", does he?"),
            ["Mr./x+", "Smith/x", "doesn’t/x+", "say/c", "\"we/x+", "are/x+", "ready\",/x", "does/f", "he/f"]
        );
        assert_eq!(
            kinds("“No deal” ended it -- twelve left."),
            ["“No/x+", "deal”/x", "ended/c", "it/f", "twelve/x+", "left/c"]
        );
        assert!(Words::read("Is it \"true?\"").question && !Words::read("It is.").question);
        assert!(kinds(" ... -- ").is_empty() && kinds("").is_empty());
    }

    #[test]
    fn the_text_keeps_the_mark_of_a_question() {
        let words = Words::read("How do I get into MIT?");
        assert_eq!(words.text(&[5, 3]), "MIT get ?");
        assert_eq!(words.text(&[]), "?");
    }
}
