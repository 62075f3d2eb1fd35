//! Tests of the modality rules.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// A text and its expected markers, without plain words and counterparts, joined by `|`.
const MARKERS: &[(&str, &str)] = &[
    ("The firm will not open a mill.", "not open|will open"),
    ("The mill's opening isn't going to be delayed.", "+door|+door= mill|not delay|will delay"),
    ("Most users are happy.", "most user"),
    ("She could not find it.", "not find"),
    ("It never fails to work.", ""),
    ("They cannot deny helping him.", ""),
    ("I may go, but May Will won't.", "might|not|will"),
    ("Nearly 40 buses were here.", "near 40|near bus"),
    ("He is tired of going to the pool.", ""),
    ("It is changing; it has changed.", "done chang|ing chang"),
    ("", ""),
    ("😀", ""),
];

/// Pairs that make the same claims; checked in both directions.
const AGREE: &[(&str, &str)] = &[
    ("The mill, as well as the dam, is old.", "The mill and the dam are old."),
    ("The mill was also sold.", "The mill was sold too."),
    ("The firm will open a mill.", "The firm is going to open a mill."),
    ("The firm will open a mill.", "The firm is set to open a mill."),
    ("The firm said it would open a mill.", "The firm said it will open a mill."),
    ("The firm plans to open a mill.", "The firm intends to open a mill."),
    ("The firm plans to open a mill.", "The firm has announced plans for the opening of a mill."),
    ("A bill to allow the sale is ready.", "A bill that will allow the sale is ready."),
    ("Rain is likely on the coast.", "Rain is possible on the coast."),
    ("The toll could double.", "The toll may double."),
    ("Perhaps the toll has doubled.", "The toll might have doubled."),
    ("Drivers must carry a lamp.", "Drivers have to carry a lamp."),
    ("Guards tried to stop the march.", "Guards attempted to stop the march."),
    ("He allegedly took the money.", "He is accused of taking the money."),
    ("He doesn't back the plan.", "He opposes the plan."),
    ("She is not in favour of the tax.", "She is against the tax."),
    ("The shop isn't open.", "The shop is not open."),
    ("The shop isn’t open.", "The shop isn't open."),
    ("They failed to reach a deal.", "They did not reach a deal."),
    ("They were unable to reach a deal.", "They could not reach a deal."),
    ("He refused to sign.", "He wouldn't sign."),
    ("The village has no school.", "The village lacks a school."),
    ("The village has no school.", "The village is without a school."),
    ("It is impossible to swim here.", "It is not possible to swim here."),
    ("The pool is unsafe.", "The pool is not safe."),
    ("She never fails to call.", "She always calls."),
    ("It is not only old but large.", "It is old and large."),
    ("There is no doubt it works.", "It works."),
    ("They will strike unless they are paid.", "They will strike if they are not paid."),
    ("A majority of members voted.", "Most members voted."),
    ("Several bridges were shut.", "A number of bridges were shut."),
    ("Many bridges were shut.", "A lot of bridges were shut."),
    ("Nearly 40 people came.", "Almost 40 people came."),
    ("About 40 people came.", "Roughly 40 people came."),
    ("About 40 people came.", "40 people came."),
    ("More than 40 people came.", "Over 40 people came."),
    ("Fewer than 40 people came.", "Under 40 people came."),
    ("She is the only winner.", "She is the sole winner."),
    ("Sales rose in spring.", "Sales climbed in spring."),
    ("Sales rose as costs fell.", "Costs dropped as sales grew."),
    ("Lenovo bought the unit from Google.", "Google sold the unit to Lenovo."),
    ("The mill was sold to a rival.", "The mill was bought by a rival."),
    ("He slept after he ate.", "He ate before he slept."),
    ("Ajax beat Porto.", "Porto lost to Ajax."),
    ("It was the first snow of the year.", "It was the year's initial snow."),
    ("The final bus was late.", "The last bus was late."),
    ("In the last decade the town grew.", "In the past decade the town grew."),
    ("They met last night.", "They met yesterday."),
    ("He won the cup again.", "He won another cup."),
    ("She managed to open the box.", "She opened the box."),
    ("He is a former judge.", "He was once a judge."),
    ("He has been a key member.", "He is a key player."),
    ("I'm not sure what is going to happen.", "I'm not sure what will happen."),
    ("No one knows the answer.", "Nobody knows the answer."),
    ("There are no fewer than 40 boats.", "There are at least 40 boats."),
    ("Sales declined to 5 million.", "Sales fell to 5 million."),
    ("Will Young sang in May.", "In May, Will Young sang."),
    ("He had no cough but a fever.", "He had a fever but no cough."),
    ("He had no cough or fever.", "He had no fever or cough."),
    ("He had no cough, rash or fever.", "He had no fever, cough or rash."),
    ("He had no cough.", "He did not have a cough."),
    ("She likes tea, not coffee.", "She does not like coffee but tea."),
    ("She did not eat and drink.", "She did not drink and eat."),
    ("The village has no school but a shop.", "There is a shop but no school in the village."),
    ("He has not seen the film but read the book.", "He has read the book but not seen the film."),
    ("The cup was not won by Ajax but by Porto.", "Porto, not Ajax, won the cup."),
    ("In May, the firm did not cut jobs at its plant.", "At its plant, the firm did not cut jobs in May."),
    ("The shop and the bar are not open but the inn is.", "The bar and the shop are not open but the inn is."),
    ("The bank did not raise rates although prices rose.", "Although prices rose, the bank did not raise rates."),
    ("The mill does not hurt fish, and makes power.", "The mill makes power and does not hurt fish."),
    ("The shop in the town is not open but the bar is.", "In the town, the shop is not open but the bar is."),
    ("Police in Rome said the man did not have a gun.", "The man had no gun, police in Rome said."),
    ("The bar is open but the shop is not.", "The shop is not open but the bar is."),
    ("The mayor did not come but her deputy spoke.", "Her deputy spoke but the mayor did not come."),
];

/// Pairs of which one side claims something that the other does not.
const DISAGREE: &[(&str, &str)] = &[
    ("The planet is thought to be a star.", "The planet is also believed to be a star."),
    ("The firm will open a mill.", "The firm is expected to open a mill."),
    ("The firm will open a mill.", "The firm opened a mill."),
    ("The firm will open a mill.", "The firm plans to open a mill."),
    ("The firm hopes to open a mill.", "The firm has opened a mill."),
    ("Seeds were handed out.", "The club plans to hand out seeds."),
    ("The toll could double.", "The toll has doubled."),
    ("Rain is likely on the coast.", "Rain fell on the coast."),
    ("The law should change.", "The law changed."),
    ("Guards tried to stop the march.", "Guards stopped the march."),
    ("The cook is said to have left.", "The cook has left."),
    ("He allegedly took the money.", "He took the money."),
    ("The firm will sign if it is paid.", "The firm will sign and it is paid."),
    ("The shop isn't open.", "The shop is open."),
    ("They failed to reach a deal.", "They reached a deal."),
    ("He denied stealing the car.", "He stole the car."),
    ("The village has no school.", "The village has a school."),
    ("He left without a coat.", "He left with a coat."),
    ("She never sings.", "She sings."),
    ("The pool is unsafe.", "The pool is safe."),
    ("Not all the boats came back.", "All the boats came back."),
    ("Most users like the tool.", "Users like the tool."),
    ("Most users like the tool.", "All users like the tool."),
    ("Few users like the tool.", "Many users like the tool."),
    ("Several boats were sold.", "The boats were sold."),
    ("Some boats were sold.", "All boats were sold."),
    ("Nearly 40 people came.", "More than 40 people came."),
    ("Nearly 40 people came.", "40 people came."),
    ("More than 40 people came.", "Fewer than 40 people came."),
    ("Up to 40 people came.", "At least 40 people came."),
    ("Only members can vote.", "Members can vote."),
    ("Almost every seat was taken.", "Every seat was taken."),
    ("Sales rose in spring.", "Sales fell in spring."),
    ("The school opened in June.", "The school closed in June."),
    ("The game begins at noon.", "The game ends at noon."),
    ("The club won the match.", "The club lost the match."),
    ("He bought the house.", "He sold the house."),
    ("She ate before the show.", "She ate after the show."),
    ("The union backed the plan.", "The union opposed the plan."),
    ("The board accepted the offer.", "The board rejected the offer."),
    ("The old bridge is shut.", "The new bridge is shut."),
    ("There were more jobs in spring.", "There were fewer jobs in spring."),
    ("The trade gap has improved.", "The trade gap has worsened."),
    ("It was the first snow of the year.", "It was the last snow of the year."),
    ("It is the first firm to say so.", "It is the only firm to say so."),
    ("It opens next spring.", "It opens in spring."),
    ("He has played since the start of last season.", "He has played since the start of the season."),
    ("She won the cup again.", "She won the cup."),
    ("The former mayor spoke.", "The mayor spoke."),
    ("The town is changing.", "The town has changed."),
    ("He was found guilty.", "He was found innocent."),
    ("Smoking is allowed here.", "Smoking is banned here."),
    ("A man sang to the crowd.", "A woman sang to the crowd."),
    ("He had no cough but a fever.", "He had no fever but a cough."),
    ("He had a fever but no cough.", "He had no fever but a cough."),
    ("There was no rain but snow.", "There was no snow but rain."),
    ("She went without a coat but with a hat.", "She went without a hat but with a coat."),
    ("She likes tea, not coffee.", "She likes coffee, not tea."),
    ("Tom did not call but Ann wrote.", "Tom called but Ann did not write."),
    ("Tom, but not Ann, came.", "Ann, but not Tom, came."),
    ("He did not sing but danced.", "He did not dance but sang."),
    ("He has not seen the film but read the book.", "He has not read the book but seen the film."),
    ("The shop is not open but the bar is.", "The bar is not open but the shop is."),
    ("Although the shop is open, the bar is not.", "Although the bar is open, the shop isn't open."),
    ("The dog, not the cat, ate the fish.", "The cat, not the dog, ate the fish."),
];

/// A long and a short text, and whether the long one claims everything that the short one does.
const CONTAINED: &[(&str, &str, bool)] = &[
    ("The firm, which did not make a profit, opened a mill.", "The firm opened a mill.", true),
    ("The firm, which may be sold, opened a mill.", "The firm opened a mill.", true),
    ("The firm will open a mill in June, its chief said.", "The firm will open a mill.", true),
    ("The firm hopes to open a mill in June.", "The firm opened a mill.", false),
    ("The firm opened a mill in June.", "The firm may open a mill.", false),
    ("The firm opened a mill in June.", "The firm didn't open a mill.", false),
    ("The firm did not open a mill in June.", "The firm opened a mill.", false),
    ("He was reportedly seen in the park at noon.", "He was seen in the park.", false),
    ("More than 40 people came to the old hall.", "40 people came.", true),
    ("Nearly 40 people came to the old hall.", "40 people came.", false),
    ("Up to 40 people came to the old hall.", "40 people came.", false),
    ("Only 40 people came to the old hall.", "40 people came.", true),
    ("40 people came to the old hall.", "Only 40 people came.", false),
    ("40 people came to the old hall.", "About 40 people came.", true),
    ("Most users of the site like the tool.", "Users like the tool.", false),
    ("Most users of the site like the tool.", "Many users like the tool.", true),
    ("Some users of the site like the tool.", "All users like the tool.", false),
    ("Users of the site like the tool.", "Most users like the tool.", false),
    ("It was the first time in years that snow fell.", "Snow fell.", true),
    ("Snow fell on the hills for days.", "Snow fell for the first time.", false),
    ("A former coach of the club has died at 90.", "A coach has died.", false),
    ("Sales rose in May as prices were cut.", "Sales fell in May.", false),
    ("Sales rose in May as prices fell.", "Prices fell.", true),
    ("He refused to sign the deal with the port.", "He signed the deal.", false),
    ("He's not just a cook, he's a baker who writes.", "He's a cook.", true),
    ("It's not a city, but it's a port.", "It's not just a city.", false),
    ("He had no cough but a fever since May.", "He had no fever but a cough.", false),
    ("He had no cough but a fever since May.", "He had a fever but no cough.", true),
];

fn shown(text: &str) -> String {
    let markers = markers(text);
    let shown = |m: &&String| !m.starts_with('~') && !m.starts_with('?') && !m.starts_with("the ");
    markers.iter().filter(shown).map(String::as_str).collect::<Vec<_>>().join("|")
}

#[test]
fn read() {
    let wrong: Vec<String> = MARKERS
        .iter()
        .filter(|(text, expected)| shown(text) != *expected)
        .map(|(text, expected)| format!("{text}\n  expected {expected}\n  found    {}", shown(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pairs() {
    assert!(AGREE.len() + DISAGREE.len() >= 80);
    let mut wrong = Vec::new();
    for (pairs, expected) in [(AGREE, true), (DISAGREE, false)] {
        for (x, y) in pairs {
            let (a, b) = (markers(x), markers(y));
            assert_eq!(agree(&a, &b), agree(&b, &a), "{x} {y}");
            for (text, list) in [(x, &a), (y, &b)] {
                assert!(agree(list, list) && contained(list, list), "{text} {list:?}");
            }
            if agree(&a, &b) != expected {
                wrong.push(format!("{x} {a:?}\n{y} {b:?}\n  should be {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn summaries_may_drop_but_not_add() {
    let wrong: Vec<String> = CONTAINED
        .iter()
        .filter(|(x, y, expected)| contained(&markers(y), &markers(x)) != *expected)
        .map(|(x, y, expected)| format!("{x} {:?}\n{y} {:?}\n  should be {expected}", markers(x), markers(y)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(contained(&[], &[]) && agree(&[], &[]));
}

#[test]
fn any_text_is_read_and_long_ones_quickly() {
    let parts = [
        "not",
        "n't",
        "’",
        "'",
        "'s",
        " ",
        ".",
        "will",
        "Will",
        "may",
        "most",
        "users",
        "the",
        "40",
        "1,5",
        "nearly",
        "-",
        "É",
        "é",
        "😀",
        "中",
        "un",
        "unhappy",
        "rose",
        "fell",
        "before",
        "\"",
        "no longer",
        "is ",
        "changing",
        "to",
        "ss",
        "ee",
        "\n",
        "%",
        "ing",
        "ied",
        "sses",
    ];
    let mut seed = 5u64;
    for _ in 0..4000 {
        let mut text = String::new();
        for _ in 0..seed % 17 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(parts[(seed >> 33) as usize % parts.len()]);
            if seed >> 63 == 0 {
                text.push(' ');
            }
        }
        seed = seed.wrapping_add(1);
        let found = markers(&text);
        assert!(found.windows(2).all(|w| w[0] < w[1]) && found.iter().all(|m| m.len() > 1), "{text:?}");
        assert!(agree(&found, &found) && contained(&found, &found), "{text:?} {found:?}");
    }
    for part in [
        "not ",
        "n't",
        "'",
        "most most ",
        "not go ",
        "would say ",
        "will ly ",
        "un",
        "is ly ",
        "before after ",
        "will to be ",
        "1,",
        "the a ",
    ] {
        let _ = markers(&part.repeat(40_000 / part.len()));
    }
}
