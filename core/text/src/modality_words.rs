//! Word lists of the modality rules.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Phrases and the markers they give: a kind; `?kind` for a counterpart that need not be matched; or nothing, which
/// keeps the words from being read as another phrase. `^word` stands for every form of a word. `.v` anchors at the
/// following verb, `.n` at the following noun phrase, `.0` nowhere; without a suffix the kind decides
/// (`reader::Mode::of`). The longest phrase at a position wins.
const PHRASES: &[(&str, &str)] = &[
    // Negation.
    (
        "not only|not just|not simply|not merely|not least|not to mention|no doubt|no matter|not help but|no wonder|\
             not without|\
         no exception|nothing short of|cannot but|no sooner",
        "",
    ),
    ("or not|whether or not|why not|if not", "?not"),
    ("not necessarily|not always|not entirely|not fully|not exactly|not completely|not yet clear", "not.0 ?all"),
    ("not all|not every|not everyone|not everything", "not.0 ?some ?all"),
    ("not many|not much", "few.n ?not"),
    ("not|never|by no means|in no way|no longer|not long", "not"),
    ("^fail to|^refuse to|^decline to|unable to|inability to|unwilling to|reluctant to|^neglect to|yet to", "not"),
    ("^deny|^stop short of", "not"),
    ("no one|nobody|none of|none|nothing|nowhere|neither|nor", "not.0"),
    ("no|without|^lack of|^lack|lacking in|absence of|devoid of", "not.n"),
    ("little changed|little known", "?not"),
    ("little or no|very little", "few"),
    // Future, expectation, intention.
    ("will|shall|going to|^be set to|^be about to|^be poised to|^be gonna", "will"),
    ("^be due to|^be scheduled to|scheduled to|slated to|^be on track to", "?will.v ?expect ?plan"),
    ("^be to", "?will ?expect ?plan"),
    ("would", "would"),
    (
        "expected to|^expect to|^expect that|^expect|projected to|predicted to|forecast to|anticipated to|estimated to|\
         ^anticipate|^forecast|^predict",
        "expect",
    ),
    (
        "^plan to|^plan on|^plan for|^aim to|^intend to|^propose to|^propose|^mull|consider|considers|considering|\
             ^look to|\
         ^prepare to|^be open to",
        "plan",
    ),
    ("^hope to|^hope for|^hope that|^hope|^want to|^wish to|would like to|eager to|keen to", "hope"),
    // Possibility, duty, attempt, hearsay, condition.
    ("so that|so could|so would", "?might ?would"),
    (
        "may|might|could|possibly|perhaps|maybe|likely to|likely|unlikely to|unlikely|probably|potentially|possible",
        "might",
    ),
    ("should|must|need to|has to|have to|ought to|required to|obliged to|^be urged to", "must"),
    (
        "^try to|^attempt to|^seek to|^struggle to|^effort to|^work to|^bid to|^strive to|^fight to|^campaign to|\
         ^try and|^endeavour to|^endeavor to|^push to|^race to",
        "try",
    ),
    (
        "allegedly|^allege to|^allege|reportedly|^accuse of|^be said to|^charge with|^charge of|^suspect of|on \
             suspicion of|supposedly|purportedly|\
         ^be rumoured to|^be rumored to|^be reported to",
        "alleged",
    ),
    ("^ask if|^wonder if|^know if|^see if|as if|even if|what if|^ask whether|if only|if any", ""),
    ("if|provided that|on condition that|as long as", "if"),
    ("unless", "if not"),
    // Verbs whose infinitive states what does happen, so nothing about it is left open.
    (
        "^manage to|able to|^begin to|^start to|^continue to|^help to|^come to|^happen to|^tend to|^get to|used to|\
             ^go on to|\
         ^force to|^proceed to|^cause to|^lead to|had to|^be make to",
        "",
    ),
    // Quantity.
    ("most of|the majority of|a majority of|majority of|vast majority of|the bulk of", "most"),
    ("all of|all|every|each of|each|entire", "all"),
    (
        "some of|some|a number of|several of|several|various|multiple|a handful of|a few of|a few|quite a few|not a \
             few|\
         a couple of|many of|many|a lot of|lots of|numerous|dozens of|scores of|a series of",
        "some",
    ),
    ("few|very few|few of|hardly any|hardly|rarely|seldom|scarcely|barely", "few"),
    ("only|solely|exclusively|nothing but|merely|none but|no one but|nobody but", "only"),
    ("if only", ""),
    ("most", "most"),
    ("nearly|almost|just under|just below|virtually|practically|just short of", "near"),
    ("close to|approaching", "near.q"),
    (
        "more than|at least|over|above|no fewer than|no less than|not less than|in excess of|upwards of|well over",
        "more",
    ),
    ("or more|or above|or over", "more.0"),
    ("less than|fewer than|under|below|lower than|no more than|not more than|at most", "less"),
    ("or less|or fewer|or under|or below", "less.0"),
    ("more or less", "?near ?about"),
    ("up to|as many as", "upto"),
    // Order.
    (
        "at first|first of all|in the first place|first lady|first degree|first aid|first hand|first class|first \
             name|first minister|\
         at last|last minute|last resort|last but not least|at the last|last name|next to|next door|once and again",
        "",
    ),
    ("first", "first"),
    ("last|latest|most recent|final|newest", "last"),
    ("next", "next"),
    ("former|ex|erstwhile|onetime", "former"),
    ("as well as|but also|may as well|might as well", ""),
    ("also|as well|in addition|additionally|likewise", "also.0"),
    ("again|once more|once again|yet again", "again"),
];

/// Words, in any form, that can match a kind without expressing it themselves.
const HINTS: &[(&str, &str)] = &[
    (
        "not",
        "oppose reject dispute dismiss avoid prevent stop end quit halt cancel ban block forbid prohibit exclude \
             miss doubt \
         lose absent absence impossible decline withhold abandon ignore keep except unlike instead rather resist rule \
         incapable illegal incomplete invalid inactive informal atheist free against anti \
         non contrary bar suspend cease scrap ineligible inadequate insufficient unless refuse fail failure denial \
         refusal scarce few hardly rarely seldom scarcely barely shortage disagree disapprove dislike disprove \
         untouched unable",
    ),
    (
        "will",
        "suppose soon tomorrow upcoming future ready shortly due schedule promise pledge vow agree decide decision \
             bind",
    ),
    ("would", "could might plan"),
    ("expect", "expectation outlook projection prediction estimate likely schedule due see"),
    (
        "plan",
        "suppose plan intention proposal target goal decide decision announce agree promise pledge vow schedule seek \
             weigh",
    ),
    ("hope", "hope want wish desire ambition dream seek plan aim need like optimistic"),
    (
        "might",
        "can potential possibility chance risk threat threaten appear seem suggest apparently speculate probability \
             often \
         sometimes danger capable fear consider believe think sure",
    ),
    ("must", "need require urge oblige call demand essential necessary mandate order force duty suppose"),
    ("try", "try attempt effort work bid seek struggle campaign aim fight look plan want"),
    (
        "alleged",
        "allegation accusation accuse claim charge suspect suspicion rumour rumor report accord criticise criticize \
             say \
         tell indict argue insist deny believe think",
    ),
    ("if", "when whether provide case once until depend condition subject assume should without would could"),
    (
        "all",
        "any anyone anybody everyone everybody everything both throughout across total full fully altogether whole \
             always entirely",
    ),
    ("most", "majority mostly mainly largely predominantly primarily generally usually bulk"),
    ("few", "handful minority fewer small rare no not none lack shortage only"),
    (
        "only",
        "just alone sole limit unique mere one single but simply except restrict until purely nothing no few best most",
    ),
    ("near", "about approximately roughly around some estimate about near"),
    ("more", "over above exceed beyond minimum top surpass plus another more"),
    ("less", "under below within limit maximum inside less"),
    ("upto", "maximum limit most to"),
    (
        "first",
        "initial initially original originally debut inaugural pioneer maiden never before unprecedented historic \
             new begin \
         start oldest earliest early",
    ),
    (
        "last",
        "past recent recently previous prior earlier ago yesterday end lately finally previously ultimate conclude \
             finish \
         final close new",
    ),
    ("also", "too furthermore moreover another other both again"),
    ("next", "coming upcoming following subsequent tomorrow then later after future forthcoming soon ahead"),
    ("former", "previous previously once earlier retire late old past oust then"),
    (
        "again",
        "another return repeat second resume renew reopen restore back still continue twice reiterate third fourth \
             further fresh \
         regain rejoin additional anew rebuild recover re",
    ),
];

/// Opposites: `name: poles / opposite poles`. Poles of an axis with a mark after its name conflict only next to the
/// same word: preceding them (`<`; "A bought it from B" and "B sold it to A" agree), or preceding or following them
/// (`*`).
const AXES: &[&str] = &[
    "size: rise increase grow growth climb jump surge soar gain raise boost expand expansion widen higher upward / \
     fall drop decline decrease plunge slump slip slide shrink tumble lower reduce reduction cut slash narrow downward \
     plummet sink",
    "wealth: gain / lose loss",
    "quality: improve improvement better best / worsen deteriorate worse worst deterioration",
    "strength: strengthen / weaken",
    "door: open opening reopen / close closing closure shut",
    "phase: begin start launch beginning commence / end finish ending conclude halt cease stop",
    "verdict: accept approve approval acceptance adopt / reject rejection refuse refusal veto decline",
    "view: support backed endorse favour favor supporter proponent / oppose opposition opponent critic",
    "assent: agree / disagree",
    "guilt: guilty convict conviction / innocent acquit acquittal",
    "permit: allow permit / ban forbid prohibit block prevent",
    "entry: enter join / leave exit quit",
    "travel: arrive arrival / depart departure",
    "outcome: succeed success successful successfully / fail failure unsuccessful unsuccessfully",
    "law: legal lawful / illegal unlawful",
    "trade: import importer / export exporter",
    "job: hire recruit / sack dismiss",
    "feeling: love / hate",
    "sign: positive / negative",
    "mood: optimistic optimism / pessimistic pessimism",
    "truth: confirm admit / deny",
    "safety: safe safely / unsafe dangerous",
    "triumph: victory / defeat",
    "sex*: man boy husband son brother father male / woman girl wife daughter sister mother female",
    "result<: win / lose",
    "deal<: buy acquire purchase / sell",
    "loan<: lend / borrow",
    "time*: before / after",
    "place*: above / below",
    "count*: more / less fewer",
    "many*: many / few",
    "age*: old / new young",
    "side*: private / public",
    "speed*: fast quick rapid quickly rapidly / slow slowly",
    "price*: cheap / expensive",
    "length*: long / short",
    "bulk*: big large huge / small tiny little",
    "force*: strong / weak",
    "level*: high top / low bottom",
    "ease*: easy easily / difficult hard",
    "fact*: true right correct / false wrong incorrect",
    "day*: early / late",
    "hour*: day morning / night evening",
    "part*: include / exclude",
];

/// Irregular forms, each with its base form.
const FORMS: &str = "rose=rise risen=rise fell=fall fallen=fall grew=grow grown=grow won=win lost=lose sold=sell \
     bought=buy began=begin \
    begun=begin made=make took=take taken=take gave=give given=give went=go gone=go came=come left=leave met=meet \
    said=say told=tell \
    saw=see seen=see knew=know known=know thought=think found=find got=get gotten=get ran=run paid=pay held=hold \
    kept=keep led=lead \
    lent=lend sent=send spent=spend built=build brought=bring caught=catch taught=teach felt=feel shut=shut put=put \
    set=set hit=hit \
    wrote=write written=write spoke=speak spoken=speak broke=break broken=break chose=choose chosen=choose \
    drove=drive driven=drive \
    ate=eat eaten=eat drew=draw drawn=draw flew=fly flown=fly forgot=forget forgotten=forget hid=hide hidden=hide \
    stood=stand \
    understood=understand struck=strike swore=swear sworn=swear threw=throw thrown=throw wore=wear worn=wear \
    shot=shoot sank=sink \
    sunk=sink shrank=shrink shrunk=shrink slid=slide sought=seek fought=fight heard=hear hurt=hurt became=become \
    is=be are=be was=be \
    were=be been=be being=be am=be has=have had=have did=do done=do does=do better=better best=best worse=worse \
    worst=worst \
    women=woman men=man wives=wife children=child people=people died=die dies=die dying=die lying=lie agreed=agree \
    freed=free \
    forbade=forbid forbidden=forbid withheld=withhold overcame=overcome arose=arise shook=shake \
    shaken=shake stole=steal stolen=steal woke=wake meant=mean dealt=deal lay=lie cutting=cut hitting=hit \
    supposed=suppose seeking=seek \
    agreeing=agree being=be buying=buy saying=say paying=pay going=go 's=be 're=be 'm=be 've=have doing=do \
    seeing=see goes=go \
     sang=sing sung=sing swam=swim swum=swim drank=drink drunk=drink rang=ring rung=ring sprang=spring slept=sleep \
     rode=ride ridden=ride wept=weep swept=sweep dug=dig hung=hang spun=spin clung=cling crept=creep froze=freeze \
     frozen=freeze bit=bite bitten=bite blew=blow blown=blow bred=breed fed=feed fled=flee";

/// Words that make no claim and cannot be anchors.
const FUNCTION: &str = "a an the i he she it we you they me him her us them his hers its our ours your yours their \
     theirs my mine myself \
    himself herself itself themselves this that these those who whom whose which what where how there here and or \
    but so yet for \
    nor as than then thus hence however also too even still just now ever very quite rather really already in on at \
    by with from \
    to into onto of off over under between among across along around about during through throughout against toward \
    towards upon \
    near within per via up down out be is are was were been being am have has had having do does did done doing s d \
    re ve m ll t t's not will would can could may might should must shall one two \
    because since although though while whereas whether if unless until when any such same other another own more \
    most less \
    least much some all each every both either no only first last next again before after above below else get go \
    yes 're 've 's 'm 'd";

/// Words that end the scope of a negation or modal verb.
const STOPS: &str = "and but or that because since although though while whereas whether if unless until when who \
     whom which \
    whose than what where how";

/// Verbs of saying and expecting: in a text with one of them "would" is the past tense of "will".
const REPORT: &str = "say tell announce promise vow pledge predict warn add believe think hope expect insist argue \
     know report claim \
    confirm decide forecast suggest indicate";

/// One word of a phrase: exactly this text, or any form with this stem.
enum Word {
    Text(&'static str),
    Form(String),
}

/// A phrase and the markers it gives.
struct Phrase {
    words: Vec<Word>,
    gives: &'static str,
}

/// A pole of an axis that a word expresses.
#[derive(Clone, Copy)]
pub(super) struct Pole {
    /// Name of the axis, unique.
    pub(super) axis: &'static str,
    /// Whether it is listed before the slash.
    pub(super) first: bool,
    /// Whether the preceding word must be the same.
    pub(super) left: bool,
    /// Whether the following word must be the same.
    pub(super) right: bool,
}

static PHRASE_TABLE: LazyLock<HashMap<String, Vec<Phrase>>> = LazyLock::new(|| {
    let mut table: HashMap<String, Vec<Phrase>> = HashMap::new();
    for (patterns, gives) in PHRASES {
        for pattern in patterns.split('|') {
            let word = |w: &'static str| w.strip_prefix('^').map_or(Word::Text(w), |form| Word::Form(stem(form)));
            let words: Vec<Word> = pattern.split_whitespace().map(word).collect();
            let key = match words.first() {
                Some(Word::Form(form)) => form.clone(),
                Some(Word::Text(text)) => stem(text),
                None => continue,
            };
            table.entry(key).or_default().push(Phrase { words, gives });
        }
    }
    for phrases in table.values_mut() {
        phrases.sort_by_key(|p| std::cmp::Reverse(p.words.len()));
    }
    table
});

static HINT_TABLE: LazyLock<HashMap<String, Vec<&'static str>>> = LazyLock::new(|| {
    let mut table: HashMap<String, Vec<&'static str>> = HashMap::new();
    for (kind, words) in HINTS {
        for word in words.split_whitespace() {
            table.entry(stem(word)).or_default().push(kind);
        }
    }
    table
});

static AXIS_TABLE: LazyLock<HashMap<String, Vec<Pole>>> = LazyLock::new(|| {
    let mut table: HashMap<String, Vec<Pole>> = HashMap::new();
    for line in AXES {
        let Some((name, poles)) = line.split_once(':') else { continue };
        let (left, right) = (name.ends_with(['<', '*']), name.ends_with('*'));
        for (words, first) in poles.split('/').zip([true, false]) {
            for word in words.split_whitespace() {
                let pole = Pole { axis: name.trim_end_matches(['<', '*']), first, left, right };
                table.entry(stem(word)).or_default().push(pole);
            }
        }
    }
    table
});

static FORM_TABLE: LazyLock<HashMap<&str, &str>> =
    LazyLock::new(|| FORMS.split_whitespace().filter_map(|pair| pair.split_once('=')).collect());

static FUNCTION_TABLE: LazyLock<HashSet<&str>> = LazyLock::new(|| FUNCTION.split_whitespace().collect());

static REPORT_TABLE: LazyLock<HashSet<String>> = LazyLock::new(|| REPORT.split_whitespace().map(stem).collect());

/// The longest phrase that begins with these words (text and stem of each): its length in words and the markers it
/// gives.
pub(super) fn phrase<'a>(
    first: &str,
    words: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Option<(usize, &'static str)> {
    let fits = |phrase: &&Phrase| {
        let mut words = words.clone();
        phrase.words.iter().all(|word| {
            words.next().is_some_and(|(text, stem)| match word {
                Word::Text(t) => *t == text,
                Word::Form(form) => form == stem,
            })
        })
    };
    PHRASE_TABLE.get(first)?.iter().find(fits).map(|p| (p.words.len(), p.gives))
}

/// The kinds that a word can match without expressing them.
pub(super) fn hints(stem: &str) -> &'static [&'static str] {
    HINT_TABLE.get(stem).map_or(&[], Vec::as_slice)
}

/// The poles that a word expresses; none for "back" and "close", which are mostly adverb and adjective.
pub(super) fn poles(text: &str, stem: &str) -> &'static [Pole] {
    if matches!(text, "back" | "close") { &[] } else { AXIS_TABLE.get(stem).map_or(&[], Vec::as_slice) }
}

pub(super) fn is_function(text: &str) -> bool {
    FUNCTION_TABLE.contains(text)
}

/// Whether the scope of a negation or modal verb ends at this word.
pub(super) fn is_stop(text: &str) -> bool {
    STOPS.split_whitespace().any(|w| w == text)
}

pub(super) fn is_report(stem: &str) -> bool {
    REPORT_TABLE.contains(stem)
}

/// A common stem for the forms of a word: "planned", "plans" -> "plan"; "fell" -> "fall"; "releasing" -> "releas".
pub(super) fn stem(word: &str) -> String {
    let word = FORM_TABLE.get(word).copied().unwrap_or(word);
    let long = |rest: &str| rest.len() >= 3 && rest.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    let bare = |word: &str| word.strip_suffix('e').filter(|w| w.len() > 1).unwrap_or(word).to_owned();
    if !word.is_ascii() || word.len() < 4 || word.starts_with(|c: char| c.is_ascii_digit()) {
        return bare(word);
    }
    if let Some(rest) = word.strip_suffix("ies").or_else(|| word.strip_suffix("ied")) {
        return format!("{rest}y");
    }
    for ending in ["sses", "shes", "ches", "xes", "zzes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    let single = word.strip_suffix('s').filter(|w| !w.ends_with(['s', 'u', 'i'])).unwrap_or(word);
    let verb = |ending| single.strip_suffix(ending).filter(|rest: &&str| long(rest) && !rest.ends_with('e'));
    let Some(root) = verb("ing").or_else(|| verb("ed")) else { return bare(single) };
    match root.as_bytes() {
        [.., a, z] if a == z && !b"aeioulsfz".contains(z) => root[..root.len() - 1].to_owned(),
        _ => bare(root),
    }
}
