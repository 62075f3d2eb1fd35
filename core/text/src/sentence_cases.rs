//! Tests of the sentence splitter: a table of cases, and properties that must hold for every text.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// Texts with the expected sentence boundaries marked by `|`.
const CASES: &[&str] = &[
    "He left.|She stayed.",
    "He left!|She stayed?|Yes.",
    "What?!|No way...|Then he left.",
    "Mr. Smith met Dr. Jones.|They talked.",
    "Gen. Lee and Sen. Clinton spoke to Rep. King.|Nobody listened.",
    "He lives in St. Louis.|It is big.",
    "He moved from the U.S. to France.|He liked it.",
    "He moved to the U.S.|The move was hard.",
    "The U.S. President spoke.|He was tired.",
    "The U.N. Security Council met.|It voted.",
    "She works at the U.N.|She likes it.",
    "He has a Ph.D. in physics.|She has none.",
    "He has a Ph.D.|She has none.",
    "J. K. Rowling wrote it.|It sold well.",
    "J.K. Rowling wrote it.|George W. Bush read it.",
    "He chose plan B.|The others did not.",
    "The price rose 3.5 percent.|It was $2.50 before.",
    "It rose to 3.|The rest fell.",
    "He was born in 1999.|20 years later he left.",
    "Apple Inc. said so.|Shares rose.",
    "Apple Inc. Chief Executive Tim Cook spoke.|He was happy.",
    "He works for Acme Corp.|The firm is old.",
    "Ford Motor Co. and Dell Ltd. agreed.|They signed.",
    "It was Liverpool vs. Chelsea.|Liverpool won.",
    "Bring fruit, e.g. Apples and pears.|Then eat.",
    "He left early, i.e. before noon.|She did too.",
    "The meeting is at 10 a.m. Monday.|Be there.",
    "The meeting is at 10 a.m.|Police will come.",
    "It ends at 5 p.m. EST.|It is long.",
    "It ends at 5 p.m. and then he leaves.|Good.",
    "He is No. 1 in the world.|She is No. 2.",
    "He said no.|The crowd left.",
    "No.|He did not.",
    "It began on Jan. 5 and ended in Dec. 1999.|It was cold.",
    "It began in Jan.|The end came in March.",
    "\"I am here,\" he said.|\"Go away.\"",
    "\"I am here.\"|\"Go away.\"|He went.",
    "“I am here.”|He went.",
    "He said: 'Go.'|She went.",
    "\"Why?\" he asked.|She did not know.",
    "\"Stop!\" she cried.|He stopped.",
    "(He left.)|She stayed.",
    "He left (she stayed. He cried.) and came back.|Fine.",
    "He saw it [in London.]|Then he left.",
    "Well... he left.|He went...|Then he came.",
    "He waited . . . and left .|She stayed .",
    "\" He left . \"|Then he came .",
    "`` He left . ''|Then he came .",
    "Version 1.2.3 is out.|Get it at www.example.com.|It is free.",
    "See https://example.com/a.b?c=d.|Then go.",
    "1. Open the door.|2. Close it.",
    "A. The first answer.|B. The second answer.",
    "Yahoo! Inc. was sold.|It was old.",
    "He bought an iPhone.|iPhones are dear.",
    "He paid.|$5 was too much.",
    "A title without end|The text begins.",
    "He left.|— She stayed.",
    "He is 5 ft. 3 inches tall.|She is 6 ft.|They met.",
    "See Fig. 3 and Eq. 4.|They agree.",
    "Roe v. Wade was decided.|It was 1973.",
    "Smith et al. found it.|Others did not.",
    "他来了。|她走了！|好？",
    "Привет, мир.|Как дела?",
    "Élan vital.|Être ou ne pas être.",
    "Great! 😀 he said.|Bye.",
    "Great!|😀 Then he left.",
    "Buy milk, eggs, etc. at the shop.|Then rest.",
    "Buy milk, eggs, etc.|The shop is open.",
    "Martin Luther King Jr. spoke.|He was loud.",
    "The firm, based in Washington, D.C., said so.|It is big.",
    "He lives in Washington, D.C.|He works there.",
    "It costs 3.|",
    "He met Lt. Col. Oliver North.|They ate.",
    "She said, \"It's over.\"|\"It isn't,\" he said.",
    "He got a C.|But she got an A.",
    "... and then he left.|She stayed.",
    "one. two. three.",
    "At 6 a.m. Ms. Ray opened the mill.|She shut it at 3 p.m.|Mr. Low then locked the gate.",
    "By 10 p.m. Dr. Fox had seen them all.|He slept.",
    "On Friday at 5 p.m. Prof. Hill spoke.|Mrs. Hill spoke at 6 p.m.|Dr. Hill did not.",
    "Shortly before 9 a.m. Ann Lee rang the bell.|It was loud.",
    "At about 9:30 a.m. Gen. Lee rode out.|He came back at 4 p.m.|Ann saw him.",
    "When it struck 9 p.m. Mr. Low left.|He was tired.",
    "After she left at 4 p.m. Mr. Low swept.|It was late.",
    "On Monday, at 7 a.m. Mrs. Po rang.|On Monday, Ann rang at 7 a.m.|Mrs. Po did not.",
    "At 8 a.m. I woke.|I ate at 9 a.m.|Bo ate at ten.",
    "In Rome at 8 a.m. Mr. Po spoke.|It rained.",
    "In Rome Ann spoke at 8 a.m.|Mr. Po did not.",
    "When does it open?|At 7 a.m.|The gate is on the left.",
    "It ends at 5 p.m. GMT on Monday.|It is long.",
    "It ended at 5 p.m.|NASA was glad.",
    "It ended at 5 p.m.|Anne-Marie was glad.",
    "The vote is at 8 a.m. Tuesday.|Be early.",
    "They rise at 5 a.m. every day.|It is dark then.",
    "Smith Bros. & Sons sold it.|It was old.",
    "Dow Inc. & The Gap sold it.|It was old.",
    "He ran the Q & A.|Ann spoke.",
    "He left AT&T.|It was big.",
    "MR. LEE SPOKE.|DR. FOX DID NOT.",
    "He lived in Rome. [17]|Then he left. [18]|She stayed.",
    "He lived in Rome.|[He died there.]|Then she left.",
    "He won! :-)|She did not.",
    "i like the red one.|it is cheap.|what do you think?|tell me.",
    "P.S. I am well.|Call ext. 37 then.",
    "Come on Sun.|Please call.",
];

fn pieces(case: &str) -> (String, Vec<&str>) {
    let expected: Vec<&str> = case.split('|').filter(|s| !s.is_empty()).collect();
    let glue = if case.starts_with("A title") { "\n" } else { " " };
    let text = if case.starts_with('他') { expected.concat() } else { expected.join(glue) };
    (text, expected)
}

#[test]
fn table() {
    assert!(CASES.len() >= 60);
    let mut wrong = Vec::new();
    for case in CASES {
        let (text, expected) = pieces(case);
        let found = split(&text);
        if found != expected {
            wrong.push(format!("{case}\n  found {}", found.join("|")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A growing text gives no sentence at first, and then always the same one: the first that `split` returns.
#[test]
fn growing_text_never_changes_its_mind() {
    for case in CASES {
        let (text, expected) = pieces(case);
        let mut first: Option<&str> = None;
        for end in (0..=text.len()).filter(|&i| text.is_char_boundary(i)) {
            let now = first_sentence(&text[..end], false);
            if first.is_some() {
                assert_eq!(now, first, "{case} at {end}");
            }
            first = now;
        }
        if let Some(first) = first {
            assert_eq!(first, expected[0]);
        }
        if expected.len() > 1 && !text.contains('\n') {
            assert_eq!(first, Some(expected[0]), "{case}");
        }
        if expected[0].ends_with(is_terminator) {
            assert_eq!(first_sentence(&text, true), Some(expected[0]), "{case}");
        }
    }
}

#[test]
fn what_is_not_proven_waits() {
    for text in [
        "He left",
        "He left.",
        "He left. ",
        "He left. \"",
        "It rose 3.",
        "It rose 3.5",
        "In the U.S",
        "In the U.S. ",
        "In the U.S. Th",
        "He met Mr.",
        "He met Mr. S",
        "Wait..",
        "He said.\"",
        "",
        " ",
        ".",
        "...",
        "He left. i",
        "He left\nShe",
    ] {
        assert_eq!(first_sentence(text, false), None, "{text:?}");
    }
    assert_eq!(first_sentence(" He left. S", false), Some("He left."));
    assert_eq!(first_sentence("In the U.S. The ", false), Some("In the U.S."));
    assert_eq!(first_sentence("He left.\n", false), Some("He left."));
    assert_eq!(first_sentence("He left.\" S", false), Some("He left.\""));
    assert_eq!(first_sentence("He left.", true), Some("He left."));
    assert_eq!(first_sentence("He left", true), None);
    assert_eq!(first_sentence("He left\nShe stayed.", true), None);
}

#[test]
fn usable_sentences() {
    for s in [
        "He left.",
        "Why?",
        "No!",
        "\"Go.\"",
        "He left . \"",
        "(He left.)",
        "Wait...",
        "He moved to the U.S.",
        "他来了。",
        "He got a C.",
    ] {
        assert!(usable(s), "{s:?}");
    }
    for s in
        ["", "a.", "He left", "He\nleft.", "123.", "...", "He left,", "He left:", "He met Mr.", "\"\"\"", "He left…"]
    {
        assert!(!usable(s), "{s:?}");
    }
}

#[test]
fn degenerate_contexts() {
    let fine = "The company said on Monday that it would close two plants.";
    let other = "Workers at the larger plant heard the news from a local radio station.";
    for (sentences, expected) in [
        (&[fine][..], None),
        (&[fine, other], None),
        (&[fine, "Is that the end of the story for the town?"], None),
        (&[], Some("short")),
        (&["He left.", "She stayed."], Some("short")),
        (&[fine, other, fine], Some("repetitive")),
        (
            &[
                "He is a man who likes his old car.",
                "He is a friend of the whole family.",
                "He is a teacher at some distant village school.",
            ],
            Some("repetitive"),
        ),
        (&["the cat and the dog and the cat and the dog and the cat."], Some("repetitive")),
        (&[fine, "A) The plant.", "B) The worker."], Some("quiz-like")),
        (&[fine, "Answer: the plant was closed because of the weather."], Some("quiz-like")),
        (&[fine, "Who was later to arrive at the old plant, Emma or Harold?"], Some("quiz-like")),
        (&["Who is it that came?", "What did he want from us?"], Some("quiz-like")),
        (&[fine, "The plant that was closed is called ____ by the workers."], Some("quiz-like")),
        (&[fine, "You can read the report at https://example.com/report."], Some("broken")),
        (&[fine, "The value is <b>bold</b> and so is the next one."], Some("broken")),
        (&[fine, "Then call the function main(); and wait for it."], Some("broken")),
        (&[fine, "The workers (who had been there for years left."], Some("broken")),
        (&[fine, "The workers at the plant\u{7} left early on Monday."], Some("broken")),
        (&[fine, "Marks &amp; Spencer said that it would not sell."], Some("broken")),
    ] {
        assert_eq!(degenerate(sentences).map(record::ContextOutcome::name), expected, "{sentences:?}");
    }
}

/// A small generator, so that the test needs no crate.
fn noise(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize
}

#[test]
fn any_text_is_covered_and_grows_without_surprise() {
    let parts = [
        ".", "?", "!", "…", "。", " ", "  ", "\n", "\"", "'", "''", "“", "”", "(", ")", "[", "]", "a", "B", "He",
        "the", "U.S", "Mr", "3", "5", "é", "😀", "中", "\u{301}", "-", "$", "No", "p.m", "at 7 a.m", "[1", "[...]",
        ":-", ":)", "&", "Yahoo", "\u{a0}", "iP", "\u{0}", ",", "\t", "The", "A",
    ];
    let mut seed = 7;
    for _ in 0..4000 {
        let text: String = (0..noise(&mut seed) % 24).map(|_| parts[noise(&mut seed) % parts.len()]).collect();
        let found = split(&text);
        let glued: String = found.concat().chars().filter(|c| !c.is_whitespace()).collect();
        let whole: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        assert_eq!(glued, whole, "{text:?}");
        assert!(found.iter().all(|s| !s.contains('\n') && s.trim() == *s));
        let mut first = None;
        for end in (0..=text.len()).filter(|&i| text.is_char_boundary(i)) {
            let now = first_sentence(&text[..end], false);
            assert!(first.is_none() || now == first, "{text:?} at {end}: {first:?} then {now:?}");
            first = now;
        }
        if first.is_some() {
            assert_eq!(first, first_sentence(&text, true), "{text:?}");
        }
        if let Some(sentence) = first_sentence(&text, true) {
            assert_eq!(Some(&sentence), found.first(), "{text:?}");
        }
        let _ = (degenerate(&found), usable(&text));
    }
}

/// Quadratic behaviour on any of these would take minutes.
#[test]
fn long_texts_take_linear_time() {
    for part in [
        ".",
        ". ",
        "a. ",
        "( ",
        "(a. ",
        "\"",
        "\" . ",
        "a",
        " ",
        "\n",
        "Mr. ",
        "' ",
        "a.\u{a0}",
        "U.S. Th ",
        "at 7 a.m. Ms. ",
        "a b c d. ",
        "a. [1",
        "[1] ",
        "! :-",
        "& ",
        "- ",
        "a. - ",
        "?!\" ) ",
    ] {
        let text = part.repeat(100_000 / part.len());
        assert!(!split(&text).is_empty() || text.trim().is_empty());
        let _ = (first_sentence(&text, false), usable(&text), degenerate(&[&text]));
    }
}
