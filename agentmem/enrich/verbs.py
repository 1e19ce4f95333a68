"""How English says the relations: the phrases between a subject and a value, as plain data."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "FICTION",
    "FIRST_PERSON",
    "HEADS",
    "KIN",
    "LASTING",
    "OPENERS",
    "REJECT",
    "ROLES",
    "SMALL_TALK",
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
    employer bank twin child baby""".split()
)
"""Whom or what "my …" may speak about; adjectives such as ``older`` or ``best`` may stand before."""

ROLES: Final = frozenset(
    """accountant actor actress architect artist baker barber biologist bookseller botanist builder butcher carpenter
    cashier chef chemist clerk coach composer cook dancer dentist designer detective developer director doctor driver
    economist editor electrician engineer farmer firefighter fisherman florist gardener geologist guide hairdresser
    historian illustrator inspector interpreter jeweller journalist judge lawyer librarian locksmith manager mason
    mathematician mechanic midwife miner musician novelist nurse optician painter paramedic pharmacist philosopher
    photographer physicist pianist pilot plumber poet policeman politician potter producer professor programmer
    psychologist psychiatrist receptionist researcher sailor salesman scientist sculptor secretary singer smith
    sociologist statistician surgeon surveyor tailor teacher technician therapist toolmaker translator vet veterinarian
    violinist waiter waitress watchmaker weaver welder writer zoologist beekeeper blacksmith cartographer glazier
    lifeguard winemaker brewer consultant analyst student""".split()
)

SMALL_TALK: Final = frozenset(
    """good bad great terrible big huge better best worse worst awful decent amazing mean real true proud poor lousy
    wonderful horrible fantastic mistakes sense dinner lunch breakfast money jokes fun friends plans progress noise
    faces things time trouble""".split()
)
"""Words that make "a bad cook" no occupation and "makes mistakes" no product."""

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
    rather before after cannot""".split()
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
