//! Tests of the entity rules.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// A text and the names expected in it, joined by `|`; possible long forms are left out.
const NAMES: &[(&str, &str)] = &[
    ("Barack Obama met Mr. Putin in St. Petersburg.", "barack obama|putin|st petersburg"),
    ("I think I'm late and I've said so.", ""),
    ("The company said it would not.", ""),
    ("The U.S. and the US agree; so does the U.N.", "un|us"),
    ("He opposes al-Qaeda and Al Qaeda.", "qaeda"),
    ("It happened on Monday, Jan. 5, in Paris.", "january|monday|paris"),
    ("Obama's plan and the Joneses' house", "joneses|obama"),
    ("American and British troops, Germans", "germany|uk|us"),
    ("the Bank of England", "bank of england"),
    ("Researchers found it.", "?researchers"),
    ("Police said it. The Police sang.", "police"),
    ("McDonald's sells the iPhone and AT&T does not.", "att|iphone|mcdonald"),
    ("J. K. Rowling and George W. Bush", "george bush|rowling"),
    ("President Bush met Prime Minister Tony Blair.", "bush|tony blair"),
    ("the President and the Queen", ""),
    ("He said, \"Nobody knows.\"", ""),
    ("the anti-American mood of a London-based firm", "london|us"),
    ("Chelsea's Frank Lampard and McDonald's", "chelsea|frank lampard|mcdonald"),
    ("the Israeli Foreign Minister, Silvan Shalom, CEO of BT", "bt|israel|silvan shalom"),
    ("a US-owned firm in post-Soviet times; IT is not It", "it|soviet|us"),
    ("Jean-Paul Sartre", "jean paul sartre"),
    ("an F-16 at the G7", "f16|g7"),
    ("May I? Theresa May may.", "may|theresa"),
    ("THIS IS ALL IN CAPITALS, SIR.", ""),
    ("S\u{e3}o Paulo, Rene\u{301}e Bj\u{f6}rk and O\u{2019}Gara", "ogara|renee bjork|sao paulo"),
    ("the United States Senate, the UN Security Council", "un security council|us senate"),
    ("Hawai\u{2018}i and Hawai'i", "hawaii"),
    ("", ""),
];

const AGREE: &[(&str, &str)] = &[
    ("Mr Barack Obama spoke.", "Obama spoke."),
    ("President Obama spoke.", "Barack Obama has spoken."),
    ("He moved to the U.S. in May.", "In May he moved to the US."),
    ("It is an American firm.", "The firm is from the United States."),
    ("The British team won.", "The team from Britain won."),
    ("It began in January.", "It began in Jan. this year."),
    ("Microsoft Corp. said so.", "Microsoft said so."),
    ("The internet has become a mirror.", "The Internet is a mirror."),
    ("Researchers found it.", "Scientists found it."),
    ("It is the only one.", "The company is the only one."),
    ("He opposes the war.", "She says he is against the war."),
    (
        "He played for Manchester City, Manchester United and Liverpool.",
        "He has played for Liverpool, Manchester United and Manchester City.",
    ),
    ("He is a key member of Chelsea's squad.", "He has been a key player for Chelsea."),
    ("Chelsea has a key player.", "He is a key player for Chelsea."),
    ("\"There is only one side, which is England.", "\"There is only one side, and it's England."),
    ("He fights al-Qaeda.", "Al Qaeda is what he fights."),
    ("The U.N. met.", "The United Nations met."),
    ("Police said so.", "Officers said so."),
    ("Yesterday Bush said so.", "Bush said so yesterday."),
    ("George W. Bush left.", "George Bush left."),
    ("Osama bin Laden fled.", "Bin Laden fled."),
    ("Oxford University won.", "The University of Oxford won."),
    ("Vincent van Gogh painted it.", "Van Gogh painted it."),
    ("Republicans voted.", "The vote was by Republicans."),
    ("In London, it rained.", "It rained in London."),
    ("“It’s hard,” he says.", "He says, “It’s hard.”"),
    ("It was Monday's meeting.", "The meeting was on Monday."),
    ("Will Smith said so.", "Smith said so."),
    ("The Los Angeles Lakers won.", "The Lakers won."),
    ("The bar of Ana O'Dea shut.", "The bar of Ana O\u{2019}Dea shut."),
    ("The bar of Ana O'Dea shut.", "The bar of Ana Odea shut."),
    ("The home of Jeanne d'Arc.", "The home of Jeanne D\u{2019}Arc."),
    ("The fair left Bogot\u{e1}.", "The fair left Bogota."),
    ("He met Zo\u{eb} M\u{fc}ller.", "He met Zoe Muller."),
    ("He met Zoe\u{308}.", "He met Zo\u{eb}."),
    ("He met S\u{f8}ren \u{141}uk.", "He met Soren Luk."),
    ("\u{c9}lan Vital won.", "Elan Vital won."),
    ("He left the U.S.A. then.", "He left the United States of America then."),
    ("He left the USA then.", "He left the United States then."),
    ("He left the U.K. then.", "He left Great Britain then."),
    ("The U.S. Senate met.", "The United States Senate met."),
    ("The E.U. met.", "The European Union met."),
    ("The W.H.O. met.", "The World Health Organization met."),
    ("It is in the UAE.", "It is in the United Arab Emirates."),
    ("He told the FBI.", "He told the Federal Bureau of Investigation."),
    ("He told the BBC.", "He told the British Broadcasting Corporation."),
    ("He told the ACLU.", "He told the American Civil Liberties Union."),
    ("He works for IBM.", "He works for International Business Machines Corp."),
    ("It fell in the U.S.S.R.", "It fell in the Soviet Union."),
    ("He moved to NZ.", "He moved to New Zealand."),
    ("He told the FDA.", "He told the Food and Drug Administration."),
    ("In May, the FDA met.", "In May, the Food and Drug Administration met."),
    ("The CDC met in Atlanta.", "The Centers for Disease Control met in Atlanta."),
    ("The OECD met.", "The Organisation for Economic Co-operation and Development met."),
    ("The Commodore 64 was designed by Commodore Corporation.", "The Commodore 64 was made by Commodore."),
];

const DISAGREE: &[(&str, &str)] = &[
    ("He does not support the war against al-Qaeda.", "He opposes the war against the Islamic State."),
    ("He played for Manchester United.", "He played for Manchester City."),
    ("It began on Monday.", "It began on Tuesday."),
    ("It began in March.", "It began in April."),
    ("Obama spoke.", "Bush spoke."),
    ("Barack Obama spoke.", "Michelle Obama spoke."),
    ("He left Paris.", "He left London."),
    ("The German team won.", "The French team won."),
    ("The U.S. said so.", "The U.N. said so."),
    ("North Korea said so.", "South Korea said so."),
    ("North Korea said so.", "Korea said so."),
    ("The Bank of England said so.", "England said so."),
    ("He's not a supporter of the Taliban.", "He says he is against the war in Afghanistan."),
    ("He's a \"non-believer.\"", "He's not a Muslim."),
    ("IBM has a history of patents.", "It has a history of patents."),
    ("He works for Apple Inc.", "He works for Dell Inc."),
    ("He played for Liverpool.", "He played for the team."),
    ("An F-16 crashed.", "An F-15 crashed."),
    ("Manchester United won.", "Manchester won."),
    ("The US said so.", "He told us so."),
    ("New York is big.", "York is big."),
    ("The CIA knew.", "The FBI knew."),
    ("The FBI knew.", "The Federal Reserve knew."),
    ("The match was in Leeds.", "The match was against Leeds United."),
    ("The match was in Madrid.", "The match was against Real Madrid."),
    ("The US won.", "Union Station won."),
    ("He left the U.S.A.", "He left the United Arab Emirates."),
    ("He left the U.K.", "He left the United States."),
    ("The FDA met.", "The Food and Water Agency met."),
    ("The FDA met Ann Lee.", "The Food and Drug Administration met."),
    ("Food and Drink Australia met.", "The FBI met."),
    ("He met Ann and Bo Coe.", "He met Ann."),
    ("The WTO met.", "The World Health Organization met."),
    ("He met Jo.", "He met James Osborne."),
    ("Martin Luther King and others marched.", "Mary Lou Kane and others marched."),
    ("Directed by Mary Louise Parker and friends.", "Directed by Mark Lee Peters and friends."),
    ("He met Ren\u{e9}.", "He met Ron."),
    ("He met O'Dea.", "He met O'Day."),
    ("\u{418}\u{432}\u{430}\u{43d} won.", "\u{418}\u{433}\u{43e}\u{440} won."),
];

#[test]
fn names() {
    let wrong: Vec<String> = NAMES
        .iter()
        .filter_map(|(text, expected)| {
            let mut found = entities(text);
            found.retain(|e| !e.contains('='));
            let found = found.join("|");
            (found != *expected).then(|| format!("{text}\n  expected {expected}\n  found    {found}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pairs() {
    assert!(AGREE.len() + DISAGREE.len() >= 40);
    let mut wrong = Vec::new();
    for (pairs, expected) in [(AGREE, true), (DISAGREE, false)] {
        for (x, y) in pairs {
            let (a, b) = (entities(x), entities(y));
            assert_eq!(agree(&a, &b), agree(&b, &a));
            assert!(agree(&a, &a), "{x}");
            if agree(&a, &b) != expected {
                wrong.push(format!("{x} {a:?}\n{y} {b:?}\n  should be {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_read_as_several_has_its_initials() {
    let found = entities("the Food and Drug Administration");
    assert_eq!(found, ["?fda=food drug administration", "drug administration", "food"]);
}

#[test]
fn containment_is_one_way() {
    let (long, short) = (entities("He met Tony Blair in Paris on Monday."), entities("He met Blair."));
    assert!(contained(&short, &long));
    assert!(!contained(&long, &short));
    assert!(contained(&[], &[]));
}

#[test]
fn any_text_is_read_and_long_ones_quickly() {
    let parts = [
        "A",
        "US",
        "U.S.",
        " ",
        "of",
        "-",
        "'",
        "’s",
        "\"",
        "é",
        "Él",
        "😀",
        "中",
        ". ",
        "May",
        "King",
        "al-",
        "3",
        "\n",
        "&",
        "I'm",
        "?",
        "The",
        " and ",
        " for ",
        "\u{301}",
        "\u{300}",
        "\u{2bc}",
        "\u{2018}",
        "\u{ad}",
        "ß",
        "Ø",
        "й",
        "Food",
        "=",
        "\u{1e9b}\u{323}",
    ];
    let mut seed = 11u64;
    for _ in 0..3000 {
        let mut text = String::new();
        for _ in 0..seed % 15 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(parts[(seed >> 33) as usize % parts.len()]);
        }
        seed = seed.wrapping_add(1);
        let found = entities(&text);
        assert!(found.is_sorted() && found.iter().all(|e| !e.trim_start_matches('?').is_empty()), "{text:?}");
        assert!(agree(&found, &found), "{text:?}");
    }
    for part in ["A", "A ", "a-", "'", "Xy of ", "Xy", "X.", "U.S. ", "\"Xy\" ", "Xy and ", "e\u{301}", "\u{301}"] {
        let _ = entities(&part.repeat(40_000 / part.len()));
    }
}
