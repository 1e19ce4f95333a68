"""How English says the relations: the phrases between a subject and a value, as plain data."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = [
    "DIETS",
    "DOUBT",
    "ELSEWHERE",
    "EMPHASIS",
    "FICTION",
    "FIRST_PERSON",
    "HEADS",
    "KIN",
    "LASTING",
    "MANY",
    "NAMED",
    "OPENERS",
    "PASSING",
    "PEOPLES",
    "REJECT",
    "ROLES",
    "SIDELINES",
    "SINCE",
    "SMALL_TALK",
    "STATES",
    "STAY",
    "TAKEN_BACK",
    "WORDING",
    "Phrase",
]


class Phrase(NamedTuple):
    """The words of a verb phrase, the relation it says, and whether value and subject stand the other way round."""

    words: tuple[str, ...]
    relation: str
    inverse: bool = False


_PHRASES: Final = {
    "lives in": "live in; lives in; am living in; is living in; reside in; resides in; moved to; have moved to; has moved to; "
    "just moved to; have just moved to; has just moved to; relocated to; have relocated to; has relocated to",
    "from": "am from; is from; come from; comes from; am originally from; is originally from; hail from; hails from",
    "born in": "was born in; were born in",
    "born on": "was born on",
    "works at": "work at; works at; work for; works for; am employed at; is employed at; am employed by; is employed by; "
    "started working at; started working for; am working at; is working at; am working for; is working for",
    "works as": "work as; works as; am employed as; is employed as; am working as; is working as; earns a living as",
    "studies at": "study at; studies at; am studying at; is studying at; attend; attends; am a student at; is a student at",
    "studies": "study; studies; am studying; is studying; major in; majors in",
    "name": "is called; am called; is named; am named",
    "married to": "is married to; am married to",
    "birthday": "has a birthday on; have a birthday on",
    "hobby": "spends free time on; relaxes with; relax with",
    "likes": "like; likes; love; loves; enjoy; enjoys; adore; adores; am fond of; is fond of; really like; really likes; "
    "really love; really loves",
    "dislikes": "hate; hates; dislike; dislikes; loathe; loathes; detest; detests",
    "allergic to": "am allergic to; is allergic to; have an allergy to; has an allergy to",
    "speaks": "speak; speaks",
    "plays": "play the; plays the",
    "visited": "visited; have visited; has visited",
    "owns": "own; owns; drive; drives",
    "member of": "am a member of; is a member of; belongs to the",
    "headquarters": "is headquartered in; is headquartered at; has its headquarters in; has its head office in; "
    "has its seat in; has its main office in; has headquarters in; keeps its headquarters in",
    "founder": "was founded by; was established by; was started by; was created by; was set up by",
    "founded in": "was founded in; was established in; was started in; was set up in; dates from; opened in",
    "ceo": "is led by; is run by; is headed by",
    "makes": "makes; produces; manufactures",
    "main product": "mainly makes; is best known for making; mainly produces; mainly sells",
    "owner": "is owned by; belongs to",
    "author": "was written by; is written by",
    "director": "was directed by",
    "architect": "was designed by",
    "inventor": "was invented by",
    "river": "lies on the river; stands on the river; is on the river; lies on the banks of the; lies on the; stands on the",
    "located in": "is located in; is situated in; lies in; is a city in; is a town in; is a village in; is a port in",
    "mayor": "is governed by mayor",
    "famous for": "is famous for; is known for; is renowned for; is best known for; is well known for",
    "main export": "mainly exports; exports mainly; exports mostly; chiefly exports; exports",
}
_INVERSE: Final = {
    "river": "flows through; runs through",
    "founder": "founded; is the founder of; established",
    "ceo": "leads the company; runs the company",
    "author": "wrote",
    "inventor": "invented",
    "owner": "owns the company",
}


def _heads() -> dict[str, tuple[Phrase, ...]]:
    """Phrases by their first word, the longest first."""
    phrases = [
        Phrase(tuple(text.split()), relation, inverse)
        for table, inverse in ((_PHRASES, False), (_INVERSE, True))
        for relation, texts in table.items()
        for text in texts.split("; ")
    ]
    phrases.sort(key=lambda phrase: -len(phrase.words))
    heads = {phrase.words[0] for phrase in phrases}
    return {head: tuple(phrase for phrase in phrases if phrase.words[0] == head) for head in heads}


HEADS: Final = _heads()

FIRST_PERSON: Final = frozenset(
    """am live reside have come hail work study attend major relax like love enjoy adore hate dislike loathe detest speak
    play own drive""".split()
)
"""Verb forms that only "I" takes; after another subject they are other words: "unconditional love is", "it's like"."""

KIN: Final = frozenset(
    """mother mom mum father dad sister brother son daughter wife husband partner girlfriend boyfriend fiancee fiance
    aunt uncle cousin nephew niece grandmother grandma grandfather grandpa stepmother stepfather mother-in-law
    father-in-law brother-in-law sister-in-law boss manager colleague teacher doctor dentist therapist lawyer landlord
    neighbour neighbor flatmate roommate friend dog cat parrot horse hamster rabbit company team school university
    employer bank twin child baby parent ex ex-husband ex-wife ex-partner ex-boyfriend ex-girlfriend""".split()
)
"""Whom or what "my …" may speak about; adjectives such as ``older`` or ``best`` may stand before."""

MANY: Final = frozenset(
    """friend colleague cousin aunt uncle niece nephew neighbour neighbor teacher flatmate roommate child twin""".split()
)
"""Those of them whom one has several of: two sentences about "my friend" are about two friends, unless a word tells them apart."""

ROLES: Final = frozenset(
    """accountant actor actress architect artist baker barber biologist bookseller botanist builder butcher carpenter
    cashier chef chemist clerk coach composer cook dancer dentist designer detective developer director doctor driver
    economist editor electrician engineer farmer firefighter fisherman florist gardener geologist guide hairdresser
    historian illustrator inspector interpreter jeweller journalist judge lawyer librarian locksmith manager mason
    mathematician mechanic midwife miner musician novelist nurse optician painter paramedic pharmacist philosopher
    photographer physicist pianist pilot plumber poet policeman politician potter producer professor programmer
    psychologist psychiatrist receptionist researcher sailor salesman scientist sculptor secretary singer smith
    sociologist statistician surgeon surveyor tailor teacher technician therapist toolmaker translator vet veterinarian
    ceo cto cfo violinist waiter waitress watchmaker weaver welder writer zoologist beekeeper blacksmith cartographer glazier
    lifeguard winemaker brewer consultant analyst student astronomer officer attorney barista bartender cleaner soldier
    banker broker recruiter nanny postman administrator assistant programmer""".split()
)

SIDELINES: Final = frozenset(
    """student artist musician singer dancer painter photographer poet writer novelist composer gardener baker cook pianist
    violinist sculptor potter driver coach guide builder actor actress brewer beekeeper carpenter weaver sailor""".split()
)
"""What one may be beside a job: "I'm a photographer" does not end "I work as a nurse"."""

SMALL_TALK: Final = frozenset(
    """good bad great terrible big huge better best worse worst awful decent amazing mean real true proud poor lousy
    wonderful horrible fantastic mistakes sense dinner lunch breakfast money jokes fun friends plans progress noise
    faces things time trouble retired future aspiring wannabe amateur struggling nervous careful fast slow budding failed avid
    keen hobby terrific excellent brilliant talented gifted natural born passionate careless reckless messy heavy lousy sure
    possible everyone everybody people sense first-time""".split()
)
"""Words that make "a bad cook" no occupation and "makes mistakes" no product."""

STATES: Final = frozenset(
    """about abroad absent across after ahead alive alone also annoying another any anything around asleep at available
    awake away awful back bad beautiful behind best between beyond big bigger boring both brilliant broken busy by
    cancelled changing cheap cheaper clean clear closed coming common complicated confidential cool crap crazy cute dangerous
    dead delicious dependent different difficult dirty done down dull dying easy either empty ending everything
    exhausting expensive fake famous fantastic far fast fine finished first flexible free from frustrating full fun funny
    gone good gorgeous great half happy hard healthy heavy here hidden high hilarious horrible huge ill important
    impossible in inside interesting invalid irrelevant kind late less like likely long lost loud lovely low mad many
    meaningless meh mine missing more mostly much near neither nice none nothing number obvious odd off ok okay old older
    on online only open optional out outdated over overrated part partly perfect popular precious pretty private public
    quite rare rather ready real really relaxing remote rewarding rubbish ruined sad safe same second secret several short sick
    similar simple slow small smaller so soft sold some something soon sort special spicy stressful strong super sweet
    temporary terrible there through time-consuming tired tiring to tomorrow too tough ugly unclear under
    underrated undecided unknown unusual up useful useless vague very warm weak weird wet whatever with within without
    well wonderful worse worst wrong yesterday""".split()
)
"""Words that open what "is" says about how, where or when something is, not what: "my favourite place is closed"."""

EMPHASIS: Final = frozenset(
    "absolutely actually always certainly clearly currently definitely just now obviously officially simply still totally".split()
)
"""Words between "is" and a value that do not belong to it: "my favourite colour is now green"."""

NAMED: Final = frozenset(
    """film movie book novel song album band singer musician composer show series author writer poet actor actress artist
    painter director team club player athlete restaurant bar pub cafe shop store brand company city town country island
    person teacher coworker colleague friend character language day month nationality""".split()
)
"""What has a name of its own: a value in small letters says how it is ("my favourite band is touring")."""

PEOPLES: Final = frozenset(
    """afghan african albanian algerian american anglican arab argentinian armenian asian atheist australian austrian bangladeshi
    basque belgian bolivian brazilian british buddhist bulgarian cambodian canadian catalan catholic chilean chinese christian
    colombian conservative croatian cuban czech danish democrat dutch egyptian english estonian ethiopian european filipino finnish
    flemish french georgian german ghanaian greek hindu hungarian icelandic independent indian indonesian iranian iraqi irish
    israeli italian jamaican japanese jewish jordanian kenyan korean kurdish labour latvian lebanese liberal lithuanian malaysian
    mexican mongolian moroccan muslim nepalese nigerian norwegian orthodox pakistani palestinian persian peruvian polish
    portuguese protestant republican romanian russian saudi scottish serbian singaporean slovak slovenian somali spanish sudanese
    swedish swiss syrian taiwanese thai tory tunisian turkish ukrainian uruguayan venezuelan vietnamese welsh""".split()
)
"""What people are, though it is written like a name: "Ana's boss is French" does not say who he is."""

ELSEWHERE: Final = frozenset(
    """marketing sales accounting finance engineering hr it legal support procurement logistics operations product design research
    management python rust java javascript typescript kotlin swift linux windows macos ubuntu debian arch android ios iphone github
    gitlab slack excel notion jira obsidian vim neovim emacs vscode figma docker kubernetes aws azure gcp heroku netlify cloudflare
    nginx kafka postgres postgresql mysql sqlite mongodb redis react vue svelte django flask google microsoft amazon apple facebook
    meta netflix spotify twitter chatgpt claude gemini openai anthropic outlook gmail zoom discord telegram whatsapp signal youtube
    airbnb airbnbs hotels denial fear hell heaven limbo church mass court""".split()
)
"""Where one moves to, comes from or lives in without living there: departments, tools, companies, states of mind."""

DIETS: Final = frozenset(
    ("vegetarian", "a vegetarian", "vegan", "a vegan", "pescatarian", "a pescatarian", "flexitarian")
)
"""What "I am" says of how one eats."""

LASTING: Final = frozenset(
    {"founder", "founded in", "author", "inventor", "architect", "director", "born in", "birth year"}
)
"""Relations that the past tense states as well as the present: who wrote a book still wrote it."""

OPENERS: Final = frozenset(
    """hi hello hey yes yeah yep ok okay well actually btw fyi so oh also and anyway sure right thanks remember please
    note hmm correction update""".split()
)
"""Words that may stand before a statement, set off by a comma or a colon, without changing it."""

REJECT: Final = frozenset(
    """might may maybe perhaps probably possibly supposedly allegedly apparently presumably seemingly reportedly rumour
    rumor think thinks thought believe believes guess guesses suppose supposes assume assumes suspect seem seems looks
    sounds doubt unsure wonder wondering would could should shall will wish wishes hope hopes hoping want wants wanted
    plan plans planning intend intends if unless whether when until once say says said tell tells told claims claimed
    heard hear hears reckon reckons according imagine pretend hypothetically what where who whom whose which why how
    but although though however except almost nearly about used formerly previously previous former ex dream dreamt
    dreamed someday hopefully expect expects trying going gonna either or let lets joking kidding whatever instead
    rather before after cannot lol lmao rofl haha hahaha xd jk iirc afaik""".split()
)
"""A sentence with one of these is a question, a guess, a wish, a condition or somebody's report, not a statement."""

FICTION: Final = (
    *(
        "kidding",
        "joking",
        "hypothetical",
        "pretend",
        "imagine",
        "for example",
        "e.g.",
        "in the story",
        "in a story",
    ),
    *("in the novel", "in the game", "role-play", "roleplay", "role play", "once upon a time", "in my dream"),
)
"""Words that make the whole text something else than statements about the world."""

WORDING: Final = re.compile(
    r"\btranslat(?:e|es|ed|ing|ions?)\b|\bhow (?:do|would|should|can) (?:you|i|we) (?:say|write|put|phrase|spell)|\bgrammar|\bproof-?read|\bre(?:phrase|write|word)\b"
    r"|\bparaphrase|\b(?:this|that|the|following) (?:sentence|text|phrase|paragraph)\b|\b(?:a|an|the) (?:[a-z]+ )?(?:story|poem|essay|character"
    r"|novel|screenplay|scenario|riddle)\b|\bact (?:as|like)\b|(?:^|[.!?] )you(?:'re| are) (?:a|an|the|my)\b|^your name is\b|\bfor instance\b|\bsuppose\b"
    r"|\btrue or false\b|\bplaceholder|\b(?:correct|fix|check|improve|complete|shorten) (?:this|the following|my (?:text|english|german))\b"
)
"""Texts about words: what they quote to be translated, mended or acted is said by nobody."""
_RETRACTED: Final = "jk|i mean|i meant|no wait|scratch that|never ?mind|not sure|unsure|not true|untrue|false|wrong|incorrect|a lie|lied|lying"
TAKEN_BACK: Final = re.compile(rf"\b(?:{_RETRACTED}|again|still)\b", re.IGNORECASE)
"""Words beside an ending that take it back."""
DOUBT: Final = re.compile(
    rf"\b(?:{_RETRACTED}|not any ?more|anymore|liar|no idea|(?:don'?t|do not) (?:know|remember)|on paper|rumou?r|(?:told|tells|says|said|claims?|claimed|insists?|heard"
    r"|swears?|mentioned|believes?|thinks?|guess)\b|left|quit|resigned|fired|laid off|until|used to|divorced|broke up|mov(?:ed|ing) (?:to|back|away"
    r"|out))\b|^\W*(?:right|correct|true|no|really|(?:is|was) (?:that|this|it) (?:right|correct|true|so))\W*$",
    re.IGNORECASE,
)
"""Words of another sentence that leave a statement in doubt: "I live in Porto. Well, I did until May." """
SINCE: Final = re.compile(
    r"(?:and |but )?(?:then|now|later|afterwards|since then|today|these days|actually|well|sorry|wait|not|or)\b[, ]*(?:i|i'm|he|she|we|they|it|at|in|\w+ed)\b",
    re.IGNORECASE,
)
"""How the next sentence begins where the story goes on: "I moved to Porto. Then I moved to Rome." """

_SPAN: Final = r"(?:day|night|week|month|semester|term|summer|winter|spring|autumn|fall|season|weekend|holidays?|time being|moment)s?"
PASSING: Final = re.compile(
    rf"\b(?:today|tonight|right now|this {_SPAN}|this (?:morning|afternoon|evening|year)|for now|for (?:the|a|an|one|two|three|four|five"
    rf"|six|several|\d+|a few|a couple of|some) (?:\w+ )?{_SPAN}(?! now)|at the moment|on (?:(?:week|work)days?|(?:sun|mon|tues|wednes|thurs|fri|satur)days?"
    rf"|weekends?)|(?:half|part|most) (?:of )?the|every|until|till|temporar\w+|during|in (?:the )?(?:summer|winter|spring|autumn|fall))\b",
    re.IGNORECASE,
)
"""What makes "I live in" and "I work at" a passing thing: it ends no other home and no job."""
STAY: Final = re.compile(
    rf"\bfor (?:\w+ ){{1,3}}?{_SPAN}\b|\bfor (?:\w+ ){{1,3}}?years?\b|\bfor now\b|\b(?:in|back in|around) (?:\w+ )?(?:19|20)\d\d\b|\byears? ago\b"
    r"|\buntil\b|\btill\b|\band (?:then|left|moved|back|to)\b|\btemporar",
    re.IGNORECASE,
)
"""What makes "I moved to" and "I started at" a visit, or a piece of a life told: years ago, or for a while."""
