//! Words of the sentence rules: abbreviations, what follows them, and what begins sentences.

#[derive(PartialEq, Clone, Copy)]
pub(super) enum Kind {
    Plain,
    /// Titles and the like: the dot never ends a sentence.
    Never,
    /// An abbreviation only before a number: "No. 5".
    Numbered,
    /// Ends a sentence only if a typical first word follows.
    Soft,
    /// a.m., p.m.: ends a sentence unless a day, month or time zone follows.
    Hour,
    /// One or two digits: does not end a sentence before another digit ("3. 5").
    Short,
}

/// Titles in capitals, as in a text that is all in capitals.
const CAPITAL_TITLES: [(&str, Kind); 12] = [
    ("MR", Kind::Never),
    ("MRS", Kind::Never),
    ("MS", Kind::Never),
    ("DR", Kind::Never),
    ("PROF", Kind::Never),
    ("GEN", Kind::Never),
    ("SEN", Kind::Never),
    ("GOV", Kind::Never),
    ("CAPT", Kind::Never),
    ("SGT", Kind::Never),
    ("LTD", Kind::Soft),
    ("INC", Kind::Soft),
];

#[rustfmt::skip]
pub(super) fn kind(word: &str) -> Kind {
    // "MR. SMITH".
    if let Some((_, kind)) = CAPITAL_TITLES.iter().find(|(capitals, _)| *capitals == word) {
        return *kind;
    }
    match word {
        "Mr" | "Mrs" | "Ms" | "Mx" | "Messrs" | "Mme" | "Mlle" | "Dr" | "Drs" | "Prof" | "Profs" | "Gen" | "Sen" | "Sens" | "Rep" | "Reps"
        | "Gov" | "Lt" | "Col" | "Sgt" | "Capt" | "Cmdr" | "Cpl" | "Pvt" | "Maj" | "Brig" | "Adm" | "Rev" | "Hon" | "Pres" | "Fr" | "Amb"
        | "Supt" | "Insp" | "Det" | "Atty" | "Cllr" | "Msgr" | "Cdr" | "Cpt" | "Lieut" | "Pfc" | "Asst" | "Sra" | "P.S" | "vs" | "Vs" | "e.g" | "E.g" | "i.e" | "I.e" | "cf" | "Cf" | "viz" | "approx" | "ca" => Kind::Never,
        "No" | "Nos" | "Fig" | "Figs" | "Eq" | "Eqs" | "Vol" | "vol" | "Sec" | "Ch" | "pp" | "Art" | "Ref" | "Op" | "chap" | "ft" | "lbs" | "oz" | "ext" | "Ext" => Kind::Numbered,
        "Inc" | "Corp" | "Co" | "Cos" | "Ltd" | "Jr" | "Sr" | "Bros" | "Assn" | "Dept" | "Univ" | "Assoc" | "Intl" | "etc" | "al" | "Est" | "est"
        | "St" | "Ste" | "Mt" | "Ft" | "Ave" | "Blvd" | "Rd" | "Hwy" | "Sq" | "Jan" | "Feb" | "Mar" | "Apr" | "Jun" | "Jul" | "Aug" | "Sep"
        | "Sept" | "Oct" | "Nov" | "Dec" | "Mon" | "Tue" | "Tues" | "Wed" | "Thu" | "Thurs" | "Fri" | "Sat" | "Sun" | "Ala" | "Ariz" | "Ark"
        | "Calif" | "Colo" | "Conn" | "Del" | "Fla" | "Ga" | "Ill" | "Ind" | "Kan" | "Ky" | "La" | "Md" | "Mass" | "Mich" | "Minn" | "Miss"
        | "Mo" | "Mont" | "Neb" | "Nev" | "Okla" | "Ore" | "Pa" | "Penn" | "Tenn" | "Tex" | "Va" | "Vt" | "Wash" | "Wis" | "Wyo" => Kind::Soft,
        "a.m" | "p.m" | "A.M" | "P.M" => Kind::Hour,
        _ if !word.is_empty() && word.len() <= 2 && word.bytes().all(|b| b.is_ascii_digit()) => Kind::Short,
        // Initials and dotted acronyms: J, U.S, Ph.D
        _ if !word.is_empty() && word.split('.').all(|part| {
            let mut letters = part.chars();
            letters.next().is_some_and(char::is_alphabetic)
                && (letters.next().is_none() || (word.contains('.') && part.chars().count() <= 2 && part.chars().all(char::is_alphabetic)))
        }) => Kind::Soft,
        _ => Kind::Plain,
    }
}

/// Days, months and time zones, which go on after "5 p.m.".
pub(super) fn is_clock_word(word: &str) -> bool {
    const MONTHS: &str =
        "January February March April May June July August September October November December Jan Feb";
    const ZONES: &str = "Eastern Pacific Central Mountain Greenwich Moscow EST EDT ET CST CDT CT MST MDT MT PST PDT PT \
        GMT UTC BST CET CEST EET EEST IST JST KST HKT SGT AEST AEDT NZST WAT EAT MSK AKST HST SAST WIB";
    word.ends_with("day") || listed(MONTHS, word) || listed(ZONES, word)
}

fn listed(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|w| w == word)
}

/// Bytes of the longest phrase that [`is_fronted`] takes for one.
const FRONT_REACH: usize = 90;

/// Whether a sentence up to a time of day only says when and where, so that its clause is still to come: "On Monday at
/// 7", "Shortly before 7", "When it struck 7".
pub(super) fn is_fronted(text: &str) -> bool {
    const PLACES: &str = "at by before after around about from until till since between in on near to through throughout \
        towards toward past over during within under";
    const TIMES: &str = "today tomorrow yesterday tonight then now late later early earlier shortly just only exactly \
        precisely roughly nearly almost promptly again every each soon not already even sometime some usually";
    const CLAUSES: &str = "when while once if because although though as whenever unless";
    const INNER: &str = "the a an this that of and or next last first second third following same local time morning \
        afternoon evening night day week year month weekend noon midnight dawn one two three four five six seven eight \
        nine ten eleven twelve half quarter o'clock hours hour minutes minute days weeks sharp its his her their our my";
    /// Prepositions that begin clauses too.
    const BOTH: &str = "after before until till since";
    const PRONOUNS: &str = "i he she it we you they";
    if text.len() > FRONT_REACH || text.contains([';', '(', '"', '“']) {
        return false;
    }
    let bare = |word: &str| word.trim_end_matches(',').to_lowercase();
    let mut words = text.split_whitespace().map(bare);
    let Some(first) = words.next() else { return false };
    let second = words.next().unwrap_or_default();
    let clause = listed(CLAUSES, &first) || (listed(BOTH, &first) && listed(PRONOUNS, &second));
    if clause && !text.contains(',') {
        return true;
    }
    let opens = listed(PLACES, &first) || listed(TIMES, &first);
    let circumstance = |word: &str| {
        let known = [PLACES, TIMES, INNER].iter().any(|list| listed(list, &bare(word)));
        let name = word.starts_with(char::is_uppercase) && word.len() > 1;
        let hour = word.starts_with(|c: char| c.is_ascii_digit()) || matches!(word, "a.m" | "p.m");
        known || name || hour
    };
    opens && text.split_whitespace().skip(1).all(circumstance)
}

/// Words that begin sentences far more often than they continue a name after an abbreviation.
#[rustfmt::skip]
pub(super) fn is_starter(word: &str) -> bool {
    matches!(word,
        "The" | "A" | "An" | "In" | "On" | "At" | "It" | "He" | "She" | "They" | "We" | "You" | "I" | "This" | "That" | "These" | "Those"
        | "But" | "And" | "Or" | "So" | "Yet" | "If" | "When" | "While" | "As" | "After" | "Before" | "Although" | "Though" | "However"
        | "Meanwhile" | "Then" | "There" | "Here" | "His" | "Her" | "Its" | "Their" | "Our" | "My" | "Your" | "What" | "Who" | "Why" | "How"
        | "Where" | "Which" | "Since" | "For" | "From" | "To" | "By" | "With" | "Without" | "Under" | "Not" | "No" | "Nobody" | "Now" | "Some"
        | "Many" | "Most" | "Several" | "All" | "Both" | "Each" | "Every" | "Other" | "Others" | "Another" | "One" | "Two" | "Also" | "Still"
        | "Even" | "Such" | "Because" | "During" | "Despite" | "Until" | "Once" | "Among" | "According" | "Over" | "Earlier" | "Later"
        | "Only" | "Just" | "Is" | "Are" | "Was" | "Were" | "Do" | "Does" | "Did" | "Can" | "Could" | "Would" | "Will" | "Has" | "Have"
        | "Police" | "People" | "Officials" | "Analysts" | "Shares" | "Nothing" | "Everyone" | "Today" | "Yesterday" | "Let" | "Please" | "Thanks" | "Thank" | "Maybe" | "Perhaps")
}
