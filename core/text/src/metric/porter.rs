//! Porter's stemmer (Porter 1980, "An algorithm for suffix stripping") with the extensions that NLTK's `PorterStemmer`
//! has by default: a list of irregular forms, `-ied`/`-ies` in words of four letters, `y` kept after a vowel, `-fulli`,
//! `-logi`, and words of one or two letters left unchanged. rouge-score uses that stemmer; Snowball's "porter" and
//! "english" differ from it.

/// Irregular forms, each with its stem.
const IRREGULAR: &[(&str, &str)] = &[
    ("skies", "sky"),
    ("sky", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Step 2: endings replaced if the rest of the word has a measure above 0. In every table the first matching ending
/// decides.
const STEP_2: &[(&str, &str)] = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// Step 3: endings replaced if the rest of the word has a measure above 0.
const STEP_3: &[(&str, &str)] =
    &[("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

/// Step 4: endings removed if the rest of the word has a measure above 1.
const STEP_4: &[&str] = &[
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
];

/// The stem of a word of lowercase ASCII letters and digits. Any other word is returned unchanged.
#[must_use]
pub fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).to_owned();
    }
    let mut word = word.to_owned();
    if word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        plural(&mut word);
        past_and_progressive(&mut word);
        final_y(&mut word);
        step_2(&mut word);
        replace_first(&mut word, STEP_3);
        step_4(&mut word);
        step_5(&mut word);
    }
    word
}

/// Step 1a: plural endings.
fn plural(word: &mut String) {
    if word.ends_with("sses") || (word.ends_with("ies") && word.len() > 4) {
        cut(word, 2);
    } else if word.ends_with('s') && !word.ends_with("ss") {
        // "dies" -> "die"; "ies" itself loses two letters.
        let letters = if word == "ies" { 2 } else { 1 };
        cut(word, letters);
    }
}

/// Step 1b: `-ed`, `-ing` and their variants.
fn past_and_progressive(word: &mut String) {
    if word.ends_with("ied") {
        let letters = if word.len() == 4 { 1 } else { 2 };
        cut(word, letters);
        return;
    }
    if let Some(rest) = word.strip_suffix("eed") {
        if measure(rest) > 0 {
            cut(word, 1);
        }
        return;
    }
    let Some(rest) = ["ed", "ing"].iter().find_map(|ending| word.strip_suffix(ending)).filter(|rest| has_vowel(rest))
    else {
        return;
    };
    let len = rest.len();
    word.truncate(len);
    if ["at", "bl", "iz"].iter().any(|ending| word.ends_with(ending)) {
        word.push('e');
    } else if ends_in_double_consonant(word) {
        if !word.ends_with(['l', 's', 'z']) {
            cut(word, 1);
        }
    } else if measure(word) == 1 && ends_short(word) {
        word.push('e');
    }
}

/// Step 1c: `y` becomes `i`, but only after a consonant that is not the first letter: "happi", but "enjoy" and "by".
fn final_y(word: &mut String) {
    if let Some(rest) = word.strip_suffix('y')
        && rest.len() > 1
        && is_consonant(rest.as_bytes(), rest.len() - 1)
    {
        cut(word, 1);
        word.push('i');
    }
}

fn step_2(word: &mut String) {
    // "-alli" is reduced first, and the result is looked up again.
    if word.strip_suffix("alli").is_some_and(|rest| measure(rest) > 0) {
        cut(word, 2);
    }
    if let Some(rest) = word.strip_suffix("logi") {
        // Here the `l` belongs to the rest, so that "geologi" and "theologi" have a measure above 0.
        if measure(&word[..=rest.len()]) > 0 {
            cut(word, 1);
        }
        return;
    }
    replace_first(word, STEP_2);
}

fn step_4(word: &mut String) {
    let Some((ending, rest)) = STEP_4.iter().find_map(|ending| Some((*ending, word.strip_suffix(ending)?))) else {
        return;
    };
    if measure(rest) > 1 && (ending != "ion" || rest.ends_with(['s', 't'])) {
        cut(word, ending.len());
    }
}

/// Steps 5a and 5b: a final `e`, and a final double `l`.
fn step_5(word: &mut String) {
    if let Some(rest) = word.strip_suffix('e') {
        let measure = measure(rest);
        if measure > 1 || (measure == 1 && !ends_short(rest)) {
            cut(word, 1);
        }
    }
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        cut(word, 1);
    }
}

/// Replaces the first ending in the table that matches, if the rest of the word has a measure above 0.
fn replace_first(word: &mut String, rules: &[(&str, &str)]) {
    let Some((rest, new)) = rules.iter().find_map(|(old, new)| Some((word.strip_suffix(old)?, *new))) else {
        return;
    };
    if measure(rest) > 0 {
        let len = rest.len();
        word.truncate(len);
        word.push_str(new);
    }
}

/// Drops the last `letters` letters of an ASCII word.
fn cut(word: &mut String, letters: usize) {
    word.truncate(word.len().saturating_sub(letters));
}

/// For each letter whether it is a consonant, which `y` is only at the start or after a vowel.
fn consonants(word: &[u8]) -> impl Iterator<Item = bool> {
    word.iter().scan(false, |after_consonant, letter| {
        *after_consonant = match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => !*after_consonant,
            _ => true,
        };
        Some(*after_consonant)
    })
}

fn is_consonant(word: &[u8], at: usize) -> bool {
    // Only an immediately preceding run of `y` can matter.
    let run = word[..at].iter().rev().take_while(|&&letter| letter == b'y').count();
    let start = (at - run).saturating_sub(1);
    consonants(&word[start..=at]).last().unwrap_or(false)
}

fn has_vowel(word: &str) -> bool {
    consonants(word.as_bytes()).any(|consonant| !consonant)
}

/// Porter's measure: how many times a vowel is followed by a consonant.
fn measure(word: &str) -> usize {
    let mut count = 0;
    let mut after_vowel = false;
    for consonant in consonants(word.as_bytes()) {
        count += usize::from(consonant && after_vowel);
        after_vowel = !consonant;
    }
    count
}

fn ends_in_double_consonant(word: &str) -> bool {
    match word.as_bytes() {
        [.., a, b] if a == b => is_consonant(word.as_bytes(), word.len() - 1),
        _ => false,
    }
}

/// Whether the word ends in consonant, vowel, consonant other than w, x, y; or consists of just a vowel and a
/// consonant.
fn ends_short(word: &str) -> bool {
    let word = word.as_bytes();
    let consonant = |back: usize| is_consonant(word, word.len() - back);
    match word {
        [_, _] => !consonant(2) && consonant(1),
        [.., _, _, last] => consonant(3) && !consonant(2) && consonant(1) && !matches!(last, b'w' | b'x' | b'y'),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn equals_nltk() {
        let path = format!("{}/../../tests/golden/metrics/porter.json", env!("CARGO_MANIFEST_DIR"));
        let golden: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let stems = golden["stems"].as_object().unwrap();
        assert!(stems.len() > 300, "{}", stems.len());
        for (word, expected) in stems {
            assert_eq!(stem(word), expected.as_str().unwrap(), "{word}");
        }
    }

    /// Words for each rule and its edge cases. Expected stems: NLTK 3.10.4.
    #[test]
    fn rules_and_their_limits() {
        for pair in RULES.split_whitespace() {
            let (word, expected) = pair.split_once('=').unwrap();
            assert_eq!(stem(word), expected, "{word}");
        }
    }

    const RULES: &str = "\
        caresses=caress ponies=poni ties=tie caress=caress cats=cat sses=ss ies=i ss=ss gas=ga flies=fli dies=die \
        lies=lie skies=sky dying=die news=news innings=inning howe=howe proceed=proceed succeed=succeed feed=feed \
        agreed=agre eed=eed freed=freed bleed=bleed plastered=plaster bled=bled motoring=motor sing=sing \
        conflated=conflat troubled=troubl sized=size hopping=hop tanned=tan falling=fall hissing=hiss fizzed=fizz \
        failing=fail filing=file spied=spi died=die tied=tie ied=i cried=cri used=use owing=owe bowing=bow \
        oozing=ooz eggs=egg egging=eg aing=a ying=ying happy=happi sky=sky enjoy=enjoy by=by fly=fli say=say spy=spi \
        syzygy=syzygi yyyy=yyyi ayy=ayi relational=relat conditional=condit rational=ration valenci=valenc \
        hesitanci=hesit digitizer=digit conformabli=conform radicalli=radic differentli=differ vileli=vile \
        analogousli=analog vietnamization=vietnam predication=predic operator=oper feudalism=feudal \
        decisiveness=decis hopefulness=hope callousness=callous formaliti=formal sensitiviti=sensit \
        sensibiliti=sensibl hopefulli=hope fulli=fulli alli=alli ralli=ralli ationalli=ation rationalli=ration \
        geologi=geolog theologi=theolog logi=logi apologi=apolog archaeologi=archaeolog triplicate=triplic \
        formative=form formalize=formal electriciti=electr electrical=electr hopeful=hope goodness=good icate=icat \
        native=nativ revival=reviv allowance=allow inference=infer airliner=airlin gyroscopic=gyroscop \
        adjustable=adjust defensible=defens irritant=irrit replacement=replac adjustment=adjust dependent=depend \
        adoption=adopt homologou=homolog communism=commun activate=activ angulariti=angular homologous=homolog \
        effective=effect bowdlerize=bowdler cement=cement element=element ement=ement union=union occasion=occas \
        opinion=opinion version=version religion=religion probate=probat rate=rate cease=ceas ease=eas tree=tree \
        te=te e2e=e2e controll=control roll=roll all=all troll=troll full=full skill=skill aal=aal 3d=3d 1990s=1990 \
        42nd=42nd covid19=covid19 x1ing=x1ing a1ed=a1e";

    #[test]
    fn other_words_are_left_alone() {
        for word in ["", "s", "is", "Running", "cafés", "naïvely", "well-being", "\u{1F600}s", "中文"] {
            assert_eq!(stem(word), word);
        }
    }

    #[test]
    fn a_stem_is_never_empty_nor_much_longer() {
        let letters = ["s", "y", "e", "d", "i", "n", "g", "l", "ies", "at", "al", "ion", "1"];
        for a in letters {
            for b in letters {
                for c in letters {
                    let word = format!("{a}{b}{c}");
                    let stem = stem(&word);
                    assert!(!stem.is_empty() && stem.len() <= word.len(), "{word}: {stem}");
                }
            }
        }
    }

    #[test]
    fn a_very_long_word_is_linear() {
        let word = "y".repeat(1_000_000) + "ing";
        assert_eq!(stem(&word).len(), 1_000_000);
    }
}
