//! Word lists of the entity rules.

/// Function words, adverbs and numbers: even when capitalised, they end a name and are no names themselves.
const FUNCTION: &str = "a an the i he she it we you they me him her us them his hers its our ours your yours their theirs my mine myself \
    himself herself itself themselves this that these those who whom whose which what when where why how whoever whatever whenever \
    wherever and or but nor so yet for if unless until till because since although though while whereas whether as than then thus \
    hence therefore however moreover furthermore nevertheless nonetheless instead otherwise meanwhile besides also too even still just \
    only not no none nothing nobody nowhere never ever always often sometimes usually rarely seldom once twice again already soon now \
    here there today tomorrow yesterday tonight in on at by with without within from to into onto of off over under above below \
    between among amid amongst across along around about after before during through throughout against toward towards upon near \
    behind beyond beneath beside despite except like unlike up down out per via versus according due given asked once all any both each \
    either neither every everyone everybody everything everywhere some someone somebody something somewhere anyone anybody anything \
    anywhere many much more most few fewer less least several such same other others another own is are was were be been being am do \
    does did done doing have has had having can could will would shall should may might must let lets ought isn't aren't wasn't \
    weren't don't doesn't didn't won't wouldn't can't couldn't shouldn't hasn't haven't hadn't ain't perhaps maybe indeed certainly \
    clearly obviously actually really very quite rather almost nearly roughly hardly barely simply finally eventually recently lately \
    currently previously formerly former late later earlier early ago next last first second third fourth fifth sixth seventh eighth \
    ninth tenth previous one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million \
    millions billion billions dozen dozens half yes ok okay oh well please thanks hello hi sorry welcome non anti pro pre post ex mid \
    semi multi sub super ultra inter intra counter self internet web tv dvd cd id";

/// Everyday words that often begin sentences; as the first word they are only doubtful names.
const COMMON: &str = "people police officials official officers officer authorities investigators prosecutors \
    prosecution lawyers lawyer attorneys witnesses residents locals villagers neighbours neighbors farmers workers \
    employees staff employers managers directors executives investors traders dealers brokers analysts analyst \
    economists economist experts expert critics supporters opponents protesters demonstrators activists campaigners \
    rebels militants insurgents gunmen soldiers troops forces army military government governments opposition \
    ministers lawmakers politicians voters leaders leader members member delegates diplomats ambassadors negotiators \
    scientists scientist researchers researcher doctors doctor nurses patients teachers teacher students student \
    pupils parents parent children child kids kid boys boy girls girl men man women woman mothers mother fathers \
    father brothers brother sisters sister sons son daughters daughter wives wife husbands husband families family \
    friends friend fans fan players player teams team coaches clubs club champions winners losers viewers readers \
    users customers consumers shoppers passengers drivers tourists visitors visitor guests victims survivors \
    suspects prisoners refugees immigrants companies company firms firm businesses business banks bank shops stores \
    retailers manufacturers producers suppliers airlines hospitals schools school universities university colleges \
    courts court judges jurors media newspapers reporters journalists sources source records reports report studies \
    study surveys survey polls poll figures figure data results result statistics evidence research tests test \
    trials trial talks negotiations meetings meeting elections election votes vote laws law rules rule plans plan \
    proposals proposal changes change problems problem questions question answers answer issues issue things thing \
    ideas idea reasons reason facts fact details detail news information words word letters letter books book films \
    film movies movie songs song music games game matches match goals goal points point shares share stocks stock \
    prices price sales sale profits profit revenue revenues earnings costs cost taxes tax interest rates rate wages \
    jobs job trade exports imports demand supply production output growth inflation unemployment oil gas gold energy \
    power water food weather rain snow wind temperatures storms floods fire fires cars car trains train planes plane \
    ships ship buses bus roads road houses house homes home buildings building cities city towns town villages \
    village countries country nations nation states state areas area places place parts part sides side ends end \
    times time years year months month weeks week days day hours hour minutes minute moments moment nights night \
    mornings morning evenings evening summer winter spring autumn fall life death love war peace health safety \
    security education science technology computers computer software phones phone machines money cash credit debt \
    budget budgets funds fund aid help support work use world earth sun moon sky sea land air animals animal dogs \
    dog cats cat birds bird fish trees tree plants plant cells cell bodies body heads head hands hand eyes eye \
    hearts heart good bad great big small large little long short high low old young new best better worst worse \
    right wrong true false real sure full free open clear easy hard strong weak local national international global \
    foreign public private political social economic financial human personal total average additional further major \
    minor main key common popular similar different various certain possible likely unlikely important recent \
    current early late final extra enough plenty lots lot number numbers amount set get got go goes going went come \
    comes coming came take takes taking took make makes making see seeing saw seen look looking looks know knowing \
    think thinking say says saying said tell told ask asking give giving find finding found keep keeping put try \
    trying turn turning call called show showing shown need want feel seem seems become becoming begin start \
    starting started stop leave leaving left stay play playing win winning won lose losing lost buy buying sell \
    selling sold pay paying paid build built read reading write writing written speak speaking hear hearing meet met \
    follow following including considering regarding concerning compared assuming provided depending born asked \
    based faced combined driven hit hopes hope fears fear concerns concern claims claim attempts efforts effort \
    attacks attack crime crimes murder violence injuries accidents accident deaths killing shooting explosions bombs \
    weapons guns drugs drug treatment treatments symptoms disease diseases cancer blood god lord march will may \
    might king queen prince president chairman spokesman spokeswoman secretary minister mayor governor senator \
    general captain director professor sir madam dear everyone's that's it's he's she's there's here's what's who's \
    let's i'm i've i'd i'll you're you've you'll we're we've we'll they're they've they'll theres online video photo \
    photos image images page click copyright story stories article editor author comment section chapter table note \
    example examples step steps version type types kind kinds sort piece way ways means method methods system \
    systems process program programme programs project projects product products service services group groups party \
    parties union unions council committee board department agency industry industries market markets sector economy \
    society culture history religion language languages art arts sport sports football soccer tennis rugby cricket \
    basketball baseball actor actors actress singer artist artists writer passenger reporter worker farmer resident \
    investor trader supporter consumer retail higher lower limits limit net gross standard standards activity \
    activities damage damages loss losses gain gains threat threats risk risks rise drop decline increase cut cuts \
    offer offers deal deals bid bids merger takeover contract contracts agreement agreements discussions pressure \
    relations tensions fighting victory defeat success failure progress access traffic travel tourism nature \
    wildlife insects sheep cattle cows horses wheat corn sugar coffee tea milk meat wine beer fruit vegetables \
    eating drinking smoking sleep exercise diet obesity pain stress memory brain skin bones genes proteins bacteria \
    viruses virus vaccines vaccine cameras screens televisions radio networks network websites website email emails \
    passwords hackers spam hardware chips robots engines engine aircraft helicopters satellites rockets physics \
    chemistry biology mathematics maths philosophy psychology poetry literature theatre dance paintings painting \
    museums festivals awards prizes medals fines penalties sentences arrests inmates jail prison rents mortgages \
    loans insurance pensions savings welfare charity charities donations volunteers citizens taxpayers migrants \
    asylum borders minorities blacks whites elderly disabled everyday domestic overseas regional federal central \
    urban rural industrial agricultural religious medical scientific legal sexual racial moral mental physical \
    natural digital electronic mobile wireless solar nuclear chemical biological";

const TITLES: &str = "mr mrs ms miss mx dr prof professor sir lord lady dame president prime minister chancellor premier senator sen \
    representative rep congressman congresswoman governor gov gen colonel col captain capt lieutenant lt sergeant sgt major maj admiral adm \
    general chairman chairwoman chair chief executive ceo cfo officer director secretary judge mayor king queen prince princess pope \
    archbishop bishop father sister rev reverend imam sheikh ayatollah ambassador spokesman spokeswoman coach manager deputy";

const MONTHS: &str = "january february march april may june july august september october november december";
const WEEKDAYS: &str = "monday tuesday wednesday thursday friday saturday sunday";

/// Adjectives and alternative names, each with the name it is compared as.
const ALIASES: &str = "american=us america=us usa=us british=uk britain=uk briton=uk french=france german=germany italian=italy \
    spanish=spain irish=ireland scottish=scotland welsh=wales english=england dutch=netherlands belgian=belgium swiss=switzerland \
    austrian=austria swedish=sweden norwegian=norway danish=denmark finnish=finland polish=poland russian=russia ukrainian=ukraine \
    greek=greece turkish=turkey portuguese=portugal hungarian=hungary czech=czechia romanian=romania serbian=serbia chinese=china \
    japanese=japan korean=korea indian=india pakistani=pakistan afghan=afghanistan iraqi=iraq iranian=iran israeli=israel \
    syrian=syria lebanese=lebanon egyptian=egypt saudi=saudi libyan=libya palestinian=palestine australian=australia \
    canadian=canada mexican=mexico brazilian=brazil argentine=argentina cuban=cuba colombian=colombia venezuelan=venezuela \
    african=africa european=europe asian=asia nigerian=nigeria kenyan=kenya indonesian=indonesia malaysian=malaysia thai=thailand \
    vietnamese=vietnam qaida=qaeda jan=january feb=february mar=march apr=april jun=june jul=july aug=august sep=september \
    sept=september oct=october nov=november dec=december mon=monday tue=tuesday tues=tuesday wed=wednesday thu=thursday thur=thursday \
    thurs=thursday fri=friday";

const PARTICLES: &str = "al el bin ibn van von der den de del della di da du la le";
const DESIGNATORS: &str = "inc corp corporation co company ltd limited plc llc group ag sa nv fc";
/// First words that distinguish a place: without them the second word names a different one ("North Korea", "Korea").
const DIRECTIONS: &str = "north south east west northern southern eastern western central new great united los san las saint st \
    real inter atletico sporting dynamo dinamo borussia olympique crystal";
/// Last words too generic to stand for the whole name.
const GENERIC: &str = "city united state states party university county street island islands river court";

fn listed(list: &str, word: &str) -> bool {
    // The lists are short and the words few: a linear scan costs less than building a table.
    list.split_ascii_whitespace().any(|w| w == word)
}

pub(super) fn is_function(word: &str) -> bool {
    listed(FUNCTION, word)
}

/// Whether a capital at the start of a sentence is no evidence that the word is a name: the word is listed, or has the
/// ending of a common noun, verb or adverb.
pub(super) fn is_common(word: &str) -> bool {
    const ENDINGS: [&str; 16] = [
        "ing", "ed", "ly", "tion", "tions", "sion", "sions", "ment", "ments", "ness", "ists", "ers", "ors", "ities",
        "ies", "ings",
    ];
    listed(COMMON, word) || (word.len() >= 6 && ENDINGS.iter().any(|e| word.ends_with(e)))
}

/// Words before "Minister", "Secretary" or "President" that belong to the title.
pub(super) fn is_office(word: &str) -> bool {
    const OFFICES: &str =
        "foreign finance defence defense interior home health justice vice trade energy education acting deputy";
    listed(OFFICES, word)
}

pub(super) fn is_title(word: &str) -> bool {
    listed(TITLES, word)
}

/// Months and weekdays, which are names by themselves even next to another name.
pub(super) fn is_date(word: &str) -> bool {
    listed(MONTHS, word) || listed(WEEKDAYS, word)
}

pub(super) fn is_particle(word: &str) -> bool {
    listed(PARTICLES, word)
}

pub(super) fn is_designator(word: &str) -> bool {
    listed(DESIGNATORS, word)
}

pub(super) fn is_direction(word: &str) -> bool {
    listed(DIRECTIONS, word)
}

pub(super) fn is_generic(word: &str) -> bool {
    listed(GENERIC, word)
}

/// The form in which a lowercase word is compared: "jan" -> "january", "americans" -> "us".
pub(super) fn canonical(word: &str) -> &str {
    let find =
        |w: &str| ALIASES.split_ascii_whitespace().find_map(|pair| pair.split_once('=').filter(|(from, _)| *from == w));
    let singular = word.strip_suffix('s').filter(|w| w.len() > 3);
    find(word).or_else(|| singular.and_then(find)).map_or(word, |(_, to)| to)
}

/// A name with the well-known ones in it, as they are after [`canonical`], in their short form: "united states senate" ->
/// "us senate".
pub(super) fn shorten(run: &str) -> String {
    const FORMS: [(&str, &str); 7] = [
        ("united states of us", "us"),
        ("united states", "us"),
        ("united kingdom", "uk"),
        ("great uk", "uk"),
        ("united nations", "un"),
        ("europe union", "eu"),
        ("soviet union", "ussr"),
    ];
    let mut padded = format!(" {run} ");
    for (long, short) in FORMS {
        padded = padded.replace(&format!(" {long} "), &format!(" {short} "));
    }
    padded.trim().to_owned()
}

/// The first letter in acronyms of a word that [`canonical`] has replaced by another: "american" is "us" here.
pub(super) fn demonym_initial(word: &str) -> Option<char> {
    match word {
        "us" => Some('a'),
        "uk" => Some('b'),
        "netherlands" => Some('d'),
        _ => None,
    }
}
