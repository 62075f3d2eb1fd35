//! The words of a sentence as the damage sees them: which may fall out, which must stay, and which stay together.

use text::number::numbers;

/// What may happen to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Articles, auxiliaries, pronouns, prepositions: what a writer adds by himself.
    Function,
    /// Lower-case words that carry the content.
    Content,
    /// Numbers, names, negation, modality, degree, order, direction and quotations: never left out.
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
    along toward towards as and but so then that's he's she's they're we're i'm you're there's";

/// Articles and the like, which stay between a word of [`CLAIMS`] or [`RELATIONS`] and what it applies to.
const DETERMINERS: &str = "a an the this that these those his her its their our my your";

/// Words that change what is claimed. Each stays in front of the word that it applies to.
const CLAIMS: &str = "not no never none nor neither nobody nothing nowhere without cannot hardly barely rarely seldom scarcely \
    unless except will would shall should can could may might must ought likely unlikely possibly probably perhaps maybe \
    allegedly reportedly if whether or more less most least few fewer many much several some all every each any both half \
    almost nearly around about only just even too very enough first last next former again also up down over under above \
    below against";

/// Words that say order, direction or reason; each stays in front of its phrase.
const RELATIONS: &str = "before after until till since than from by between during because although though while";

/// Marks that are taken off the ends of a word.
const AROUND: &[char] = &[',', ';', ':', '!', '?', '(', ')', '[', ']', '{', '}', '…', '—', '–', '"', '“', '”', '„'];

fn among(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|w| w == word)
}

fn capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// What the quotation marks of a token do. A straight mark opens at the start of a word and closes at its end; after a
/// digit it stands for inches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marks {
    opens: bool,
    closes: bool,
}

impl Marks {
    fn of(token: &str, quoted: bool) -> Self {
        let start = token.trim_start_matches(['(', '[']);
        let end = token.trim_end_matches([',', '.', ';', ':', '!', '?', ')', ']', '…']);
        if matches!(end, "\"" | "''" | "``") || start == "\"" {
            return Self { opens: !quoted, closes: quoted };
        }
        let opens = start.starts_with(['“', '„', '"']) || start.starts_with("``") || start.starts_with('‘');
        let inches = !quoted && !opens && end.trim_end_matches('"').ends_with(|c: char| c.is_ascii_digit());
        let closes = end.ends_with('”') || (end.ends_with('"') && !inches) || (quoted && end.ends_with(['’', '\'']));
        Self { opens, closes }
    }
}

impl Words {
    /// Reads a sentence.
    #[must_use]
    pub fn read(sentence: &str) -> Self {
        let tokens: Vec<&str> = sentence.split_whitespace().collect();
        let mut words: Vec<Word> = Vec::new();
        // The number of words before the quotation that is open, and whether the last question mark is quoted.
        let (mut open, mut question) = (None, false);
        for (at, token) in tokens.iter().enumerate() {
            let marks = Marks::of(token, open.is_some());
            if marks.opens {
                open = Some(words.len());
            } else if marks.closes && open.is_none() {
                // The quotation began in an earlier sentence.
                words.iter_mut().for_each(|word| (word.kind, word.joined) = (Kind::Fixed, true));
                open = Some(0);
            }
            if token.contains('?') {
                let behind = token.rsplit(['"', '”', '’']).next().is_some_and(|end| end.contains('?'));
                question = open.is_none_or(|from| from == 0) || (marks.closes && behind);
            } else if token.contains(char::is_alphanumeric) {
                question = false;
            }
            if open.is_some() {
                let joined = !marks.closes;
                words.push(Word { text: (*token).to_owned(), kind: Kind::Fixed, joined });
                open = open.filter(|_| joined);
                continue;
            }
            let bare = bare(token, at + 1 == tokens.len());
            if bare.contains(char::is_alphanumeric) {
                // Punctuation separates what would else belong together.
                let next = tokens.get(at + 1).filter(|_| !token.ends_with(AROUND));
                let next = next.map(|next| next.trim_matches(AROUND)).filter(|next| !next.is_empty());
                words.push(word(bare, words.is_empty(), next));
            }
        }
        join(&mut words);
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

/// A word without the marks around it. A full stop stays with an abbreviation: inside a sentence, or after another one.
fn bare(token: &str, last: bool) -> &str {
    let mut bare = token.trim_matches(AROUND);
    while let Some(rest) = bare.strip_suffix('.').filter(|rest| last && !rest.contains('.')) {
        bare = rest.trim_matches(AROUND);
    }
    bare
}

/// Joins what belongs together over small words: "Bank of England", "by the council".
fn join(words: &mut [Word]) {
    for at in 1..words.len() {
        let name = |word: Option<&Word>| word.is_some_and(|w| w.kind == Kind::Fixed && capital(&w.text));
        if words[at].text == "of" && name(words.get(at - 1)) && name(words.get(at + 1)) {
            words[at - 1].joined = true;
            (words[at].kind, words[at].joined) = (Kind::Fixed, true);
        }
        if words[at - 1].joined && words[at].kind == Kind::Function && among(DETERMINERS, &words[at].text) {
            words[at].joined = true;
        }
    }
    if let Some(word) = words.last_mut() {
        word.joined = false;
    }
}

fn word(bare: &str, first: bool, next: Option<&str>) -> Word {
    let lower = bare.to_lowercase().replace('’', "'");
    let made = |text: &str, kind, joined| Word { text: text.to_owned(), kind, joined };
    let inner = |of: fn(char) -> bool| bare.chars().skip(1).any(of);
    let shouted = bare.chars().all(|c| !c.is_lowercase()) && bare.chars().count() > 1;
    let own = lower == "i" || lower.starts_with("i'");
    // "US stocks" begins with a name, "The stocks" does not; "NOT" is no name anywhere.
    let named = capital(bare) && !own && (!first || inner(char::is_uppercase)) && !(shouted && among(CLAIMS, &lower));
    if bare.contains(char::is_numeric) || !numbers(bare).is_empty() {
        // The unit or the counted thing stays behind its number.
        let text = if first && !bare.contains(char::is_numeric) && !named { lower.as_str() } else { bare };
        return made(text, Kind::Fixed, next.is_some());
    }
    // "May sales" and "Will Smith" may begin with names.
    let doubtful = lower == "may" || (lower == "will" && next.is_some_and(capital));
    let small = if first && !own && !doubtful { lower.as_str() } else { bare };
    let claims = among(CLAIMS, &lower) || ["n't", "'ll", "'d", "'ve"].iter().any(|end| lower.ends_with(end));
    if !named && (claims || among(RELATIONS, &lower)) {
        return made(small, Kind::Fixed, next.is_some());
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
        for (sentence, expected) in [
            (
                "The Bank of New England will not raise its rate by 12 cts before March.",
                "the/f Bank/x+ of/x+ New/x+ England/x will/x+ not/x+ raise/c its/f rate/c by/x+ 12/x+ cts/c before/x+ March/x",
            ),
            ("Shares rose 5%, analysts said.", "Shares/x rose/c 5%/x analysts/c said/c"),
            ("It was shut by the council in May.", "it/f was/f shut/c by/x+ the/f+ council/c in/f May/x"),
            ("US stocks fell, and IT spending rose.", "US/x stocks/c fell/c and/f IT/x spending/c rose/c"),
            ("COVID-19 is NOT over.", "COVID-19/x+ is/f NOT/x+ over/x"),
            ("May sales rose.", "May/x+ sales/c rose/c"),
            ("Will Smith said I'm tired.", "Will/x+ Smith/x said/c I'm/f tired/c"),
            ("They'll tell nobody about tea or coffee.", "they'll/x+ tell/c nobody/x+ about/x+ tea/c or/x+ coffee/c"),
            ("In 1990, the firm moved to the U.S.", "in/f 1990/x the/f firm/c moved/c to/f the/f U.S./x"),
            ("It was the largest drop (ever).", "it/f was/f the/f largest/c drop/c ever/c"),
        ] {
            assert_eq!(kinds(sentence).join(" "), expected);
        }
        assert!(kinds(" ... -- ").is_empty() && kinds("").is_empty());
    }

    #[test]
    fn quotations_stay_whole() {
        for (sentence, expected) in [
            (
                "Mr. Smith doesn’t say \"we are ready\", does he?",
                "Mr./x+ Smith/x doesn’t/x+ say/c \"we/x+ are/x+ ready\",/x does/f he/f",
            ),
            ("“No deal” ended it -- twelve left.", "“No/x+ deal”/x ended/c it/f twelve/x+ left/c"),
            ("We will not go,\" he said.", "we/x+ will/x+ not/x+ go,\"/x he/f said/c"),
            ("A 27\" screen costs more.", "a/f 27/x screen/c costs/c more/x"),
            ("She called ‘the old bank’ safe.", "she/f called/c ‘the/x+ old/x+ bank’/x safe/c"),
            ("He was \" the witness \" then.", "he/f was/f \"/x+ the/x+ witness/x+ \"/x then/f"),
        ] {
            assert_eq!(kinds(sentence).join(" "), expected);
        }
        let question = |sentence: &str| Words::read(sentence).question;
        assert!(question("Is it true?") && question("\"Is it true?\"") && question("Is it \"true\"?"));
        assert!(!question("It is.") && !question("He asked \"why?\"") && !question("Why? he asked."));
    }

    #[test]
    fn the_text_keeps_the_mark_of_a_question() {
        let words = Words::read("How do I get into MIT?");
        assert_eq!(words.text(&[5, 3]), "MIT get ?");
        assert_eq!(words.text(&[]), "?");
    }
}
