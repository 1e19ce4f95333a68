"""A year in the notes of one person: what changes, what is asked for again and again, what is said once, and chatter.

Everything is drawn from one seed. Nothing here knows how memories are searched or forgotten.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["END", "START", "Event", "Year", "make_year"]

START = datetime(2025, 1, 1, 8, tzinfo=UTC)
DAYS = 365
END = START + timedelta(days=DAYS, hours=6)

THINGS = (
    "ladder|drill|bike pump|tent|passport|sewing kit|projector|sledge|tripod|torch|glue gun|suitcase|yoga mat|picnic basket|"
    "fishing rod|camp stove|spirit level|hot water bottle|label printer|wok|rain coat|kite|chess clock|soldering iron|watering can|"
    "measuring tape|first aid kit|paint roller|violin bow|cat carrier"
).split("|")
PLACES = (
    "in the shed|behind the sofa|on the top shelf|in the boot of the car|under the stairs|at my brother's flat|in the blue crate|"
    "beside the washing machine|in the attic|on the balcony|in the hall cupboard|under the bed|at the office|in the garage|"
    "on the piano|in the cellar|with the neighbours|next to the boiler|in the guest room|behind the door"
).split("|")
TRADES = (
    "bakery|dentist|plumber|barber|bookshop|taxi company|vet|optician|florist|cheese stall|tailor|swimming pool|bike workshop|"
    "pharmacy|ice cream parlour|butcher|language school|climbing hall|laundry|wine shop|cinema|piano teacher|garden centre|sushi place|"
    "photo studio|shoe repair|tea house|car wash|hardware store|physiotherapist"
).split("|")
NAMES = (
    "Almeida|Brandt|Castro|Duarte|Ekholm|Ferraz|Gruber|Hansen|Ivanova|Jansen|Kaya|Lindqvist|Moreau|Novak|Okafor|Petrov|Quental|"
    "Rossi|Sousa|Tanaka|Ueda|Vasquez|Weber|Ximenes|Yilmaz|Zhang"
).split("|")
STREETS = (
    "Mill Lane|Harbour Road|Station Square|the old market|Castle Hill|Bridge Street|the river bank|North Gate".split(
        "|"
    )
)
REMARKS = (
    "friendly but slow|cheap and cheerful|far too crowded|open on Sundays|closed for holidays|better than I expected|a bit expensive|"
    "nobody answered the phone|they remembered my name|a long queue outside|new owner since spring|rather noisy"
).split("|")
ONCE = (
    ("The spare key of the {0} hangs {1}.", "Where is the spare key of the {0}?", "How can I get into the {0} without my own key?"),
    ("{2} said the password hint for the {0} is the name of her first {3}.", "What is the password hint for the {0}?",
     "I cannot log in to the {0}. What do I have to remember?"),
    ("The warranty papers of the {0} are filed under {3} with {2}.", "Where are the warranty papers of the {0}?",
     "The {0} stopped working: where did we keep the guarantee?"),
    ("Aunt {2} cannot eat {0}, it gives her a rash.", "Which aunt cannot eat {0}?", "Can I serve {0} to my relatives?"),
    ("We buried the time capsule for {2} near the {0}, {1}.", "What did we bury near the {0}?", "Something is hidden close to the {0}: what?"),
    ("The doctor found that {2} is sensitive to {0}; a {3} was suspected first.", "Who is sensitive to {0}?", "Who must stay away from {0}?"),
)  # fmt: skip
"""A statement, a question in its words, and one in others."""
SUBJECTS = """\
allotment=vegetable plot|summer house=cottage at the lake|office=place I work at|boat=yacht|post box=letterbox|\
bike cellar=basement with the bicycles|neighbours' flat=apartment next door|workshop=room with the tools|rehearsal room=place where the band plays|caravan=camper
router=wireless box|tax portal=revenue office's site|photo archive=picture collection|old laptop=notebook from before|bank vault=safe deposit|\
music account=song service|library card=lending account for books|weather station=rain and wind logger|heating app=thermostat program|alarm panel=burglar system
dishwasher=machine that cleans the plates|oven=cooker|heat pump=heating|record player=turntable|lawn mower=grass cutter|\
freezer=deep-freeze|sewing machine=stitching machine|treadmill=running machine|coffee machine=espresso maker|camera=photo equipment
celery=stalks of celeriac|walnuts=nuts|mango=tropical fruit|shellfish=prawns|mustard=hot yellow sauce|\
sesame=tahini|strawberries=red berries|lupin=legume flour|kiwi=fuzzy green fruit|buckwheat=soba noodles
walnut tree=big nut tree|sundial=clock that needs the sun|old well=water hole|chapel=small church|boathouse=shelter for the boats|\
stone bench=seat made of rock|lighthouse=beacon on the coast|vineyard=grapes|windmill=mill with sails|greenhouse=glass house
penicillin=antibiotics|latex=rubber gloves|nickel=cheap jewellery metal|ibuprofen=painkillers|pollen of birch=spring trees|\
house dust=mites|iodine=contrast agent|lanolin=wool fat|codeine=opiate cough syrup|bee stings=insects
""".splitlines()
"""A line for each statement: what it is about, and another word for it."""
ANIMALS = "cat|dog|hamster|canary|tortoise|pony|parrot|rabbit".split("|")
CHATTER = (
    "{t} was {a} today, {x}.", "Talked with {n} about the {h} on the way home, {x}.", "Made {f} for dinner; {x}.", "Watched {h} until late, {x}.",
    "The {o} broke again, {x}.", "{n} cancelled, so I stayed in and had {f}.", "Slept {a}, then the {o} woke me.", "Went for a walk near {s}, {x}.",
    "I should clean the {o} one day, {x}.", "{n} keeps talking about the {h}.", "Saw a {w} near {s}; it looked {a}.",
    "I wonder where the {k} got to, {x}.", "{n} asked about a {r}, I had no idea.",
)  # fmt: skip
PARTS = {
    "t": "The weather|Work|The train|Traffic|The meeting|My back|The coffee|The class".split("|"),
    "a": "terrible|fine|strange|better than yesterday|slow|wonderful|boring|too long|worse than ever|surprisingly good".split("|"),
    "x": "nothing special|as usual|who knows why|I was tired anyway|we laughed a lot|it cost me an hour|never again|could be worse|"
         "the children liked it|and then it rained|so I went to bed early|that was all|must tell the others".split("|"),
    "n": NAMES, "s": STREETS, "k": THINGS, "r": TRADES, "w": ANIMALS,
    "h": "football match|election|new series|office party|holiday plans|documentary|cooking show|garden|concert|neighbours' wedding".split("|"),
    "f": "pasta|lentil soup|pancakes|fried rice|salad|an omelette|leftovers|curry|roast potatoes|fish".split("|"),
    "o": "printer|kettle|lift|doorbell|radio|lamp|heater|dish rack|window blind|fridge".split("|"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """At ``at`` the person says ``text``, or asks ``question`` whose answer is the note with the key ``answer``."""

    at: datetime
    text: str = ""
    key: str = ""
    question: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Year:
    """What is said and asked, by time, and the questions of the last day: (question, key of the note that answers it) by class."""

    events: tuple[Event, ...]
    final: dict[str, list[tuple[str, str]]]


def make_year(seed: int, chatter_per_day: int = 7) -> Year:
    """The same year for the same seed."""
    pick = random.Random(seed)
    events: list[Event] = []
    final: dict[str, list[tuple[str, str]]] = {"recent": [], "repeated": [], "neglected": []}
    for thing in THINGS:
        _moved(pick, thing, events, final["recent"])
    for trade in TRADES:
        _favoured(pick, trade, events, final["repeated"])
    for wordings, subjects in zip(ONCE, SUBJECTS, strict=True):
        _once(pick, wordings, [pair.split("=") for pair in subjects.split("|")], events, final["neglected"])
    for day in range(DAYS):
        for _ in range(chatter_per_day):
            values = {name: pick.choice(options) for name, options in PARTS.items()}
            events.append(Event(_at(pick, day), pick.choice(CHATTER).format(**values)))
    return Year(tuple(sorted(events, key=lambda event: event.at)), final)


def _at(pick: random.Random, day: float) -> datetime:
    return START + timedelta(days=int(day), minutes=pick.randrange(600))


def _moved(pick: random.Random, thing: str, events: list[Event], final: list[tuple[str, str]]) -> None:
    """A thing changes its place every two to three weeks, and now and then the person asks where it is."""
    wordings = (
        "I put the {0} {1}.",
        "Moved the {0}; it lies {1} for now.",
        "Today the {0} went back to its place {1}.",
    )
    asked = (f"Where did I put the {thing}?", f"Where can I find the {thing}?")
    day, number = pick.uniform(0, 15), 0
    while day < DAYS:
        key = f"{thing} {number}"
        events.append(Event(_at(pick, day), pick.choice(wordings).format(thing, pick.choice(PLACES)), key))
        gap = pick.uniform(12, 24)
        if pick.random() < 0.3 and day + gap < DAYS:
            events.append(
                Event(_at(pick, day + gap / 2) + timedelta(hours=11), question=pick.choice(asked), answer=key)
            )
        day, number = day + gap, number + 1
    final.append((asked[0], f"{thing} {number - 1}"))


def _favoured(pick: random.Random, trade: str, events: list[Event], final: list[tuple[str, str]]) -> None:
    """Eighteen of a trade are mentioned over the year; one, from the first third, is what every question is about."""
    names = pick.sample(NAMES, 18)
    days = sorted(pick.uniform(0, DAYS) for _ in names)
    favourite = pick.randrange(2, 6)
    for number, (name, day) in enumerate(zip(names, days, strict=True)):
        text = f"The {trade} {name} near {pick.choice(STREETS)}: {pick.choice(REMARKS)}."
        events.append(Event(_at(pick, day), text, f"{trade} {number}"))
    key = f"{trade} {favourite}"
    asked = (
        f"Which {trade} do we usually go to?",
        f"What was the name of our {trade}?",
        f"Remind me of the {trade} we like.",
    )
    day = days[favourite] + 3
    while day < DAYS - 1:
        events.append(
            Event(_at(pick, day) + timedelta(hours=11), question=f"{names[favourite]}, {asked[1]}", answer=key)
        )
        day += pick.uniform(15, 50)
    final.append((asked[0], key))


def _once(
    pick: random.Random,
    wordings: tuple[str, str, str],
    subjects: list[list[str]],
    events: list[Event],
    final: list[tuple[str, str]],
) -> None:
    """Said once: most of them in the first quarter and never again, the others later, alike in all but their subject."""
    statement, direct, other = wordings
    for number, (subject, synonym) in enumerate(subjects):
        old = number < 7
        day = pick.uniform(0, 90) if old else pick.uniform(200, DAYS - 1)
        text = statement.format(subject, pick.choice(PLACES), pick.choice(NAMES), pick.choice(ANIMALS))
        key = f"{direct} {subject}"
        events.append(Event(_at(pick, day), text, key))
        if old:
            final += [(direct.format(subject), key), (other.format(synonym), key)]
