"""Pairs of statements made by template: the grammar of change, before the words of real people.

Thousands of simple pairs, whose values change and stay, teach which word of the later statement to hold against which word of the earlier one, and
what a plan, somebody else, a single occasion, or the past does to it. Nothing here comes from the pairs of the strangers.
"""

from __future__ import annotations

from random import Random

__all__ = ["template_pairs"]

Made = tuple[str, str, str]

_NAMES = """Anders Birgit Chen Dolores Emeka Fatou Gianni Hanneke Ivo Jolanta Kenji Leticia Mbali Nils Oksana Pilar Quentin
Rosa Stellan Tomasz Uma Viggo Wanda Xavi Yael Zoltan""".split()
_PLACES = """Bergen Lyon Porto Leeds Gdansk Malmo Turin Split Utrecht Graz Cork Denver Osaka Lagos Pune Lima Quito Tampere
Valencia Bristol Leipzig Winnipeg Geelong Durban""".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_TIMES = ["seven", "half past eight", "9:15", "noon", "4 pm", "17:30", "half five", "6 in the morning", "10", "20:00"]
_TOOLS = """Postgres MySQL Redis Kafka RabbitMQ Jenkins Buildkite Terraform Pulumi Webpack Vite Poetry Hatch Vim Emacs Zed
Firefox Safari Obsidian Joplin Todoist Trello Asana Slack Zulip Heroku Hetzner Ansible Puppet Angular Svelte Flask Django Rust Elixir
Kotlin Ruby Grafana Datadog Sentry Stripe Adyen Nginx Caddy""".split()
_FIRMS = """Aldgate Brightline Cormorant Delphi Everline Fennel Gannet Halcyon Ironbridge Juniper Kestrel Lumen Meridian
Northgate Ostara Pallas Quill Redwing Solis Tern Umbra Vantage Wren Yarrow""".split()
_FOODS = "porridge toast eggs muesli soup rice noodles curry lentils salad pancakes yoghurt".split()
_SPORTS = "swimming boxing rowing yoga climbing tennis squash cycling judo pilates football badminton".split()
_COLOURS = "green grey blue white black silver yellow red".split()

_KINDS: list[tuple[list[str], list[str]]] = [
    (["bank", "phone company", "internet provider", "power supplier", "car insurance", "gym", "vet practice", "employer"], _FIRMS),
    (["accounting software", "broadband", "pension fund", "delivery service", "agency", "payroll provider", "caterer"], _FIRMS),
    (["landlord", "boss", "dentist", "cleaner", "childminder", "piano teacher", "accountant", "hairdresser"], _NAMES),
    (["team lead", "contact at the supplier", "supervisor", "neighbour upstairs", "flatmate", "physio", "on-call person"], _NAMES),
    (["home town", "office", "storage unit", "holiday spot", "workshop", "main warehouse", "data centre", "campus"], _PLACES),
    (["database", "editor", "build tool", "message queue", "chat tool", "issue tracker", "deploy tool", "main language"], _TOOLS),
    (["web framework", "monitoring", "payment provider", "package manager", "reverse proxy", "note app", "browser"], _TOOLS),
    (["team meeting", "bin day", "choir", "day off", "cleaning day", "market day", "release day", "swimming lesson"], _DAYS),
    (["deadline", "delivery", "review", "book club", "sprint planning", "backup run", "laundry slot"], _DAYS),
    (["shift start", "alarm", "school run", "bedtime", "standup", "last train", "dinner", "closing time"], _TIMES),
    (["breakfast", "usual lunch", "Sunday supper", "packed lunch"], _FOODS),
    (["sport", "after-work hobby", "Tuesday course"], _SPORTS),
    (["car", "front door", "kitchen", "bike", "van"], _COLOURS),
]  # fmt: skip
_AMOUNTS = """rent|budget|hourly rate|port|timeout|retry limit|team size|ticket price|dose|shoe size|salary|page limit|
memory limit|number of seats|weekly mileage|weight|mortgage payment|entrance code|room number|version|interest rate|fee|
batch size|monthly saving|screen limit for the kids|deposit|target""".replace("\n", "").split("|")

_STATES = """My {n} is {a}.|{n}: {a}.|Our {n} is {a}, just so you know.|For {n} we have {a}.|The {n} is {a}.|It's {a} for the {n}.|
Note that the {n} is {a}.|{a} is my {n}.|Remember: {n} {a}.|We've got {a} as {n}.|{a}, that's our {n}.|I'm on {a} for the {n}.|
{a} has been my {n} for years.|As {n} I have {a}, always.|{a} for {n}, please keep that in mind.""".replace(
    "\n", ""
).split("|")

_LATER = {
    "replaces": """The {n} is {b} now.|We switched to {b} for the {n}.|{b} is the new {n}.|No more {a}, it's {b} since last week.|
We dropped {a} in spring, {b} instead.|Since Monday it's {b}.|{a} is history, we went with {b}.|Changed the {n} to {b} yesterday.|
I've given up {a}.|{a} is gone for good.|We left {a} behind at last, {b} from here on.|Scrap {a}, the {n} is going to be {b}, that's decided.|
They moved us from {a} to {b}.|Turns out {a} didn't work out, so {b} it is these days.|Goodbye {a}, hello {b}.|Update: {b} for the {n}.|
{b} took over from {a}.|We cancelled {a}.|As of today {b} is our {n}.|The {n} isn't {a} any longer.|I got rid of {a} and signed up with {b}.|
Finished the move to {b}, the last bit of {a} was switched off.|{a} stopped last month and nothing has taken its place.|
Correction, {n} {b}, I had it wrong.|The {n} has been raised, lowered, you name it, and ended up at {b}.|From the first on: {b}.|
Signed with {b} this morning, {a} got the letter.|{b}! After all those years with {a}. Feels odd.""",
    "apart": """I'm thinking about {b} instead of {a}, not sure.|My sister's {n} is {b}.|We used to have {b}, years before {a}.|
Maybe we should change the {n} to {b} one day.|What do people say about {b}?|{b} tried to win us over, I said no.|
Only this week {b}, then back to {a}.|At my brother's it's {b} for the {n}.|If {a} gets any worse I'll look at {b}.|
Nearly went for {b}, but stayed with {a}.|I dreamt that our {n} was {b}.|My colleague swears by {b}.|{b} was what my old flat had.|
Today {b} as an exception, because of the holiday.|Somebody asked me whether {b} is any good.|I read an article about {b}.|
For the other team the {n} is {b}.|Would {b} be a better {n}? Just dreaming.|They offered us {b}, we haven't decided.|
I had to use {b} once for a friend, won't do it again.|My parents had {b}, when I was small.|Saw {b} on television.|
Bought {b} as a present for my cousin.|In the film the {n} is {b}.|I wish it were {b}.|They may move us to {b} next year, nothing is fixed.|
{a} was late today.|{a} told a good joke this morning.|Someone complained about {a} again.|It rained all day, and the {o} is fine.|
The {o} is {c} now.|We changed the {o} to {c}.|My {o} is {c}.|The {o} isn't {c} any longer.|Who thought of {c} for the {o}?""",
    "same": """As I said, the {n} is {a}.|Still {a} for the {n}.|Don't forget that {a} is our {n}.|The {n} stays {a}.|You know, {a}, my {n}.|
Given that the {n} is {a}, what should I do?|Write it down once more: {n}, {a}.|With {a} as {n}, is that a problem?|{a} is the {n}, as ever.|
It's {a}, my {n}, remember?|We kept {a} in the end.|Everything as before, {n} {a}.|Put {a} on the form under {n}.""",
    "completes": """{a} has been our {n} for three years.|Also, the {n} comes with a guarantee.|Besides {a} we have {b} for the weekends.|
And on top of {a} there's {b} as well.|The thing about {a} is that it costs extra in winter.|{a} is on the second floor, by the way.|
In addition to {a}, {b}, too.|The reason for {a} is that it's near.|For the {n}, ask for Mrs Lind, she knows.|
The {n} has a number, it's 4402-B.|{a} works for us only until nine.|And we pay {a} by card.|We found {a} through a friend.""",
    "conflicts": """The {n} has always been {b}.|Our {n} is {b}, as it was from the start.|{n} {b}, never been anything else.|
We've never had {a} as {n}.|I've had {b} for as long as I can think.|With {b} as {n}, like every year, what can I do?|
{a}? No, no, the {n} is {b}, it always was.|As you know, {b} is my {n}.|The {n} was never {a}.""",
}  # fmt: skip
_TURNS = {is_: text.replace("\n", "").split("|") for is_, text in _LATER.items()}

_HABITS: list[tuple[list[str], list[str], list[str]]] = [
    (["I smoke a pack a day.", "I'm a smoker, sorry."], ["Haven't touched a cigarette since March.", "I quit smoking.", "Smoke-free for a year now."],
     ["I should stop smoking one day.", "My uncle quit smoking.", "Someone smoked in the stairwell again.", "I tried to quit in 2015, it lasted a week."]),
    (["I don't eat meat.", "I'm vegetarian.", "We're vegan at home."], ["I eat meat again.", "I gave up being vegetarian.", "Back to steak, doctor's orders."],
     ["My husband had a steak.", "Which butcher is good? It's for my father.", "The burger at that place smelled great.", "I ate meat as a child."]),
    (["I'm single.", "No partner at the moment."], ["We got married in May.", "I'm engaged!", "Been seeing somebody since spring, it's serious."],
     ["My cousin got married.", "I had a date, it went nowhere.", "Mum keeps asking when I'll marry."]),
    (["I have a dog.", "Our dog sleeps on the sofa.", "We have two cats."], ["We had to put the dog down.", "Found a new home for the cats.", "No pets any more."],
     ["The neighbours' dog died.", "The dog was ill but is fine again.", "I'd love a second dog.", "A stray cat came by."]),
    (["I don't drive.", "I have no licence."], ["Passed my driving test!", "Got my licence on Friday.", "I drive to work these days."],
     ["My son passed his driving test.", "Took my first driving lesson.", "Driving would be handy, one day."]),
    (["I work nights.", "I'm on night shifts at the hospital."], ["They put me on days.", "Left the night shift for good.", "I retired last month."],
     ["One day shift this week, as a favour.", "The night shift was quiet.", "I've asked for days, no answer."]),
    (["I'm looking for a job.", "I'm unemployed at the moment."], ["I start at the bakery on Monday, signed the contract.", "Got the job!", "First month at the new company is over."],
     ["Had an interview, they'll call.", "My friend got a job.", "Sent another application."]),
    (["We rent our flat.", "We live in a rented house."], ["We bought the house.", "Got the keys to our own place.", "Sleeping in our own four walls since the first."],
     ["My sister bought a flat.", "Looked at a house, too dear.", "If we ever buy, then by the sea."]),
    (["I drink three coffees a day.", "I can't start without coffee."], ["Off coffee since the new year.", "I only drink tea now.", "No caffeine for me any more."],
     ["The coffee at work is terrible.", "Decaf today, the machine was broken.", "My doctor says less coffee, we'll see."]),
    (["I'm learning Spanish.", "I do ten minutes of Spanish each day."], ["I gave up Spanish.", "I dropped the course, it's Italian now.", "Stopped learning, no time."],
     ["Missed Spanish today.", "My friend is learning Italian.", "I might take up Italian as well."]),
    (["The project is on hold.", "The release is blocked."], ["The release went out this morning.", "The project is running again.", "Unblocked and shipped."],
     ["The other team's release went out.", "We may unblock it next week.", "People keep asking about the release."]),
    (["I'm pregnant, due in June.", "The baby is due any day."], ["Our daughter was born on Sunday.", "She's here! Eight pounds."],
     ["My friend had her baby.", "The baby kicks all night.", "We haven't got a name."]),
    (["I have a broken leg.", "My knee is in a brace."], ["The cast came off today.", "All healed, I'm running again.", "Signed off by the physio."],
     ["The cast itches.", "My brother broke his arm.", "It should be off next month."]),
    (["We live with my mother-in-law.", "I share a flat with two students."], ["She moved out in spring.", "I've a place to myself these days.", "We're on our own since Easter."],
     ["She's away for the weekend.", "I wish I had my own place.", "One of them burnt the rice."]),
]  # fmt: skip

_TAILS = """What should I cook?|Can you write a short note about it?|Any ideas?|Please keep it short.|How do I tell them?|lol|
What would you do?|Make me a list.|Anyway, how long does paint take to dry?|I need this by tonight.|thanks|Draft an email, friendly.|
Not that it matters.|What a week.|Can you check the spelling?|My back hurts, too.|Help me plan the rest.""".replace(
    "\n", ""
).split("|")
_HEADS = "so|ok|hey|right, listen|by the way|quick one|hi again|update|um|well".split("|")


def template_pairs(count: int, rng: Random) -> list[Made]:
    """(before, later, is) of ``count`` pairs, in about the shares in which people write them."""
    kinds, weights = list(_TURNS), [0.34, 0.36, 0.12, 0.1, 0.08]
    return [_pair(rng, rng.choices(kinds, weights)[0]) for _ in range(count)]


def _pair(rng: Random, is_: str) -> Made:
    if is_ in ("replaces", "apart") and rng.random() < 0.25:
        states, over, apart = rng.choice(_HABITS)
        return _said(rng, rng.choice(states)), _said(rng, rng.choice(over if is_ == "replaces" else apart)), is_
    (noun, a, b), (other, c, _) = _slot(rng), _slot(rng)
    words = {"n": noun, "a": a, "b": b, "o": other if other != noun else "cellar light", "c": c}
    return (
        _said(rng, rng.choice(_STATES).format(**words)),
        _said(rng, rng.choice(_TURNS[is_]).format(**words)),
        is_,
    )


def _slot(rng: Random) -> tuple[str, str, str]:
    """A noun, and two different values for it."""
    if rng.random() < 0.3:
        first = rng.choice([rng.randint(2, 60), rng.randint(2, 90) * 10, rng.randint(1000, 9999)])
        return (
            rng.choice(_AMOUNTS),
            str(first),
            str(max(1, int(first * rng.choice([0.5, 0.8, 0.9, 1.1, 1.25, 1.5, 2]))) + 1),
        )
    nouns, values = rng.choice(_KINDS)
    a, b = rng.sample(values, 2)
    return rng.choice(nouns), a, b


def _said(rng: Random, text: str) -> str:
    """As people write: something before it, a request behind it, fewer signs."""
    if rng.random() < 0.15:
        text = f"{rng.choice(_HEADS)}, {text}"
    if rng.random() < 0.3:
        text = f"{text} {rng.choice(_TAILS)}"
    return text.rstrip(".") if rng.random() < 0.3 else text
