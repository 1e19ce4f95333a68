"""How each relation is asked for: plain data for :mod:`agentmem.consolidation.phrasing`."""

from __future__ import annotations

from typing import Final

__all__ = ["DOES", "FAVOURITE", "FRAMES", "HAS", "IS", "NOUN", "NOUNS", "OPAQUE", "PERSONS", "TEMPLATES", "THINGS_TOO"]

# `{s}` is the subject ("Ana", "I"), `{ps}` its possessive ("Ana's", "my"), `[does|do]` what depends on the person.
TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "lives in": (
        "Where [does|do] {s} live?",
        "In which city [does|do] {s} live?",
        "What is {ps} home city?",
        "Which place [does|do] {s} call home?",
        "Where is {ps} home?",
        "What city [is|am] {s} living in?",
        "Where would one find {ps} home?",
    ),
    "from": (
        "Where [is|am] {s} from?",
        "Where [does|do] {s} come from?",
        "What is {ps} home town?",
        "Which place [is|am] {s} originally from?",
        "What is {ps} place of origin?",
    ),
    "born in": (
        "Where was {s} born?",
        "What is {ps} birthplace?",
        "In which place was {s} born?",
        "Which city was {s} born in?",
        "What is {ps} place of birth?",
    ),
    "born on": (
        "When was {s} born?",
        "On what date was {s} born?",
        "What is {ps} date of birth?",
        "On which day was {s} born?",
        "What is {ps} birth date?",
    ),
    "birth year": (
        "In which year was {s} born?",
        "What year was {s} born in?",
        "What is {ps} birth year?",
        "What is {ps} year of birth?",
    ),
    "birthday": (
        "When is {ps} birthday?",
        "What is {ps} birthday?",
        "On what day is {ps} birthday?",
        "When [does|do] {s} celebrate {its} birthday?",
        "Which date is {ps} birthday on?",
    ),
    "works at": (
        "Where [does|do] {s} work?",
        "Who [does|do] {s} work for?",
        "Who is {ps} employer?",
        "Which company [does|do] {s} work for?",
        "What is {ps} place of work?",
        "At which company [is|am] {s} employed?",
    ),
    "works as": (
        "What [does|do] {s} do for a living?",
        "What is {ps} job?",
        "What is {ps} occupation?",
        "What is {ps} profession?",
        "What [does|do] {s} work as?",
        "How [does|do] {s} earn a living?",
    ),
    "studies at": (
        "Where [does|do] {s} study?",
        "Which school [does|do] {s} attend?",
        "At which university [does|do] {s} study?",
        "What is {ps} university?",
    ),
    "studies": (
        "What [does|do] {s} study?",
        "What is {ps} field of study?",
        "Which subject [does|do] {s} study?",
        "What [is|am] {s} studying?",
    ),
    "name": (
        "What is {ps} name?",
        "What [is|am] {s} called?",
        "By what name [is|am] {s} known?",
        "Which name [does|do] {s} go by?",
    ),
    "nationality": ("What is {ps} nationality?", "Which nationality [does|do] {s} have?"),
    "married to": (
        "Who [is|am] {s} married to?",
        "Who is {ps} spouse?",
        "To whom [is|am] {s} married?",
        "Whom did {s} marry?",
    ),
    "hobby": (
        "What is {ps} hobby?",
        "What [does|do] {s} do in {its} free time?",
        "How [does|do] {s} spend {its} spare time?",
        "Which hobby [does|do] {s} have?",
        "What pastime [does|do] {s} enjoy?",
    ),
    "plays": (
        "What instrument [does|do] {s} play?",
        "Which instrument [does|do] {s} play?",
        "What is {ps} instrument?",
        "What musical instrument can {s} play?",
    ),
    "speaks": (
        "Which language [does|do] {s} speak?",
        "What language [does|do] {s} speak?",
        "What is a language that {s} [speaks|speak]?",
        "In which language can one talk to {o}?",
    ),
    "likes": ("What [does|do] {s} like?", "What [is|am] {s} fond of?", "What [does|do] {s} enjoy?"),
    "dislikes": ("What [does|do] {s} dislike?", "What does not appeal to {o}?", "What can {s} not stand?"),
    "allergic to": (
        "What [is|am] {s} allergic to?",
        "Which allergy [does|do] {s} have?",
        "What must {s} avoid because of an allergy?",
        "What is {ps} allergy?",
    ),
    "visited": ("Which place did {s} visit?", "Where did {s} go?", "What place has been visited by {o}?"),
    "owns": ("What [does|do] {s} own?", "What belongs to {o}?", "What is in {ps} possession?"),
    "headquarters": (
        "Where [is|am] {s} headquartered?",
        "Where are the headquarters of {o}?",
        "In which city [is|am] {s} based?",
        "What city is home to the headquarters of {o}?",
        "Where [does|do] {s} have {its} head office?",
        "In which place [does|do] {s} keep {its} main office?",
    ),
    "founder": (
        "Who founded {o}?",
        "Who is the founder of {o}?",
        "Who started {o}?",
        "By whom was {s} founded?",
        "Which person established {o}?",
    ),
    "founded in": (
        "When was {s} founded?",
        "In which year was {s} founded?",
        "What is the founding year of {o}?",
        "What year was {s} established in?",
        "When did {s} come into being?",
    ),
    "ceo": ("Who is the CEO of {o}?", "Who leads {o}?", "Who runs {o}?", "Who is the head of {o}?"),
    "main product": (
        "What is the main product of {o}?",
        "What [does|do] {s} mainly make?",
        "What product [is|am] {s} known for?",
        "What [does|do] {s} sell?",
        "Which product comes from {o}?",
    ),
    "makes": (
        "What [does|do] {s} make?",
        "What [does|do] {s} produce?",
        "What is the product of {o}?",
        "Which product comes from {o}?",
    ),
    "author": (
        "Who wrote {o}?",
        "Who is the author of {o}?",
        "By whom was {s} written?",
        "Whose work is {o}?",
    ),
    "capital": (
        "What is the capital of {o}?",
        "Which city is the capital of {o}?",
        "What is {ps} capital?",
        "What city serves as the capital of {o}?",
    ),
    "country": (
        "In which country [is|am] {s}?",
        "What country [is|am] {s} in?",
        "Which country [does|do] {s} belong to?",
        "In what country [does|do] {s} lie?",
    ),
    "region": (
        "In which region [is|am] {s}?",
        "What region [is|am] {s} in?",
        "Which region [does|do] {s} belong to?",
        "In what part of the country [does|do] {s} lie?",
    ),
    "located in": (
        "Where [is|am] {s}?",
        "Where [is|am] {s} located?",
        "In which place [is|am] {s} situated?",
        "Where [does|do] {s} lie?",
    ),
    "river": (
        "Which river flows through {o}?",
        "What river [does|do] {s} lie on?",
        "What is the river of {o}?",
        "On which river [does|do] {s} stand?",
        "Which river runs through {o}?",
    ),
    "mayor": (
        "Who is the mayor of {o}?",
        "Who is {ps} mayor?",
        "Who governs {o} as mayor?",
        "Which person is mayor of {o}?",
        "Who serves as the mayor of {o}?",
    ),
    "famous for": (
        "What [is|am] {s} famous for?",
        "What [is|am] {s} known for?",
        "For what [is|am] {s} renowned?",
        "What made {o} famous?",
    ),
    "famous dish": (
        "What is the famous dish of {o}?",
        "Which dish [is|am] {s} known for?",
        "What food [is|am] {s} famous for?",
        "What is the local dish of {o}?",
    ),
    "main export": (
        "What is the main export of {o}?",
        "What [does|do] {s} export?",
        "Which good [does|do] {s} export most?",
        "What [does|do] {s} sell abroad?",
    ),
    "phone": (
        "What is {ps} phone number?",
        "Which number reaches {o}?",
        "What number can one call {o} on?",
        "How can one phone {o}?",
    ),
    "email": (
        "What is {ps} email address?",
        "How can one email {o}?",
        "Which email address [does|do] {s} use?",
        "Where can one send {o} an email?",
    ),
    "knows": ("Who [does|do] {s} know?", "Whom [is|am] {s} acquainted with?", "Who is known to {o}?"),
    "member of": (
        "What [is|am] {s} a member of?",
        "Which group [does|do] {s} belong to?",
        "Where [is|am] {s} a member?",
        "Which group counts {o} among its members?",
    ),
    "age": ("How old [is|am] {s}?", "What is {ps} age?", "What age [is|am] {s}?"),
}
FAVOURITE: Final = (
    "What is {ps} favourite {r}?",
    "Which {r} [does|do] {s} like best?",
    "What {r} [does|do] {s} like most?",
    "Which {r} [is|am] {s} most fond of?",
    "[What is the favourite {r} of {o}|Which {r} is my favourite]?",
    "Which {r} [does|do] {s} prefer to all others?",
)
NOUN: Final = (
    "{W} is [the {r} of {o}|my {r}]?",
    "[{W} is {ps} {r}|{W} is it that is my {r}]?",
    "Which {r} [does|do] {s} have?",
    "{W} would one name as {ps} {r}?",
    "{W} [does|do] {s} have as {r}?",
)
NOUNS: Final = (
    "What are [the {r} of {o}|my {r}]?",
    "[What are {ps} {r}|Which are my {r}]?",
    "Which {r} [does|do] {s} have?",
    "What would one name as {ps} {r}?",
    "What [does|do] {s} have as {r}?",
)
DOES: Final = (
    "What [does|do] {s} {b}?",
    "What is it that {s} [{r}|{b}]?",
    "Can one say what {s} [{r}|{b}]?",
    "Which is the thing that {s} [{r}|{b}]?",
    "What would complete the sentence that {s} [{r}|{b}] something?",
)
"""For what somebody does: "reports to", "prefers"; ``{b}`` is the verb as it stands behind "does"."""
IS: Final = (
    "What {aux} {s} {rest}?",
    "What is it that {s} {aux} {rest}?",
    "Can one say what {s} {aux} {rest}?",
    "Which is the thing that {s} {aux} {rest}?",
    "What would complete the sentence that {s} {aux} {rest} something?",
)
"""For what somebody is or has done: "is afraid of", "working on", "has climbed"."""
HAS: Final = (
    "Which {rest} [does|do] {s} have?",
    "What {rest} [does|do] {s} have?",
    "What [does|do] {s} have as {rest}?",
    "Which is the {rest} that {s} [has|have]?",
    "What would one name as {ps} {rest}?",
)
PERSONS: Final = frozenset(
    """boss owner president director architect inventor manager chairman chair head leader doctor dentist lawyer teacher
    coach assistant successor predecessor neighbour neighbor friend colleague king queen governor chancellor minister
    editor publisher composer singer captain trainer agent editor-in-chief contact partner landlord""".split()
)
"""Nouns that are asked for with "who"."""
THINGS_TOO: Final = frozenset("head chair agent contact coach trainer guide".split())
"""Those of them that may be no person."""

OPAQUE: Final = (
    'What goes with {o} under "{r}"?',
    'For {o}, what is the value of "{r}"?',
    'Which value of "{r}" belongs to {o}?',
    'What completes "{S} {r}"?',
)
FRAMES: Final = (
    *("Tell me: {q}", "Quick question: {q}", "Do you know the answer? {q}", "Please answer: {q}"),
    *("One more thing: {q}", "I would like to know: {q}", "Can you help me? {q}", "Just to check: {q}"),
)
