"""Random values of every kind that a note may tell: numbers, dates, addresses, code, lists, names of any script."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from agentmem.evaluation.world import names

__all__ = ["Vocabulary", "kinds_of_values"]

_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_COLOURS = "red blue green yellow black white grey brown orange violet turquoise beige pink silver".split()
_FOOD = (
    "peanuts milk eggs wheat soy fish shellfish celery garlic onions mushrooms mustard honey coriander pork beef "
    "lentils tomatoes cheese strawberries walnuts sesame cucumber olives cabbage liver aubergine bananas"
).split()
_JOBS = (
    "locksmith nurse carpenter judge pilot tailor welder baker surgeon plumber florist miner barber chemist translator "
    "lifeguard beekeeper cook cashier gardener roofer optician midwife librarian sculptor porter"
).split()
_WHERE = "behind under inside above below beside on near".split()
_HOURS = "one two three four five six seven eight nine ten eleven twelve".split()
_UNITS = "minutes hours days weeks months years seconds".split()
_LENGTHS = "metres m cm centimetres feet inches km miles kilometres yards mm".split()
_WEIGHTS = "kg grams g pounds tons kilos ounces stone".split()
_MONEY = ("{} euros", "{} dollars", "${}", "€{}", "{} EUR", "{} pounds", "£{}", "{} francs", "{}k")
_HOSTS = ("example", "internal", "corp", "dev", "io", "net", "org", "com", "local", "app")
_COMMANDS = ("make", "npm run", "cargo", "git", "docker compose", "pytest", "go", "kubectl", "./scripts/", "terraform")
# Letters of scripts whose names the model should be able to say, as ranges of code points.
_SCRIPTS = (
    (0x4E00, 0x9FA5, 2, 4),
    (0x0430, 0x044F, 4, 9),
    (0x03B1, 0x03C9, 4, 9),
    (0x3042, 0x3093, 3, 6),
    (0x05D0, 0x05EA, 3, 6),
)


@dataclass(frozen=True)
class Vocabulary:
    """Ordinary words, the frequent ones first; what is drawn from them falls off with their rank."""

    words: Sequence[str]

    def word(self, rng: Random) -> str:
        """Draw a word; every fifth from all alike."""
        top = len(self.words)
        return self.words[rng.randrange(top) if rng.random() < 0.2 else int(top ** rng.random()) - 1]

    def forms(self, rng: Random, least: int, most: int) -> str:
        """Draw several words from all alike, with capitals here and there and other signs than blanks between some: each form is a token of its own."""
        said = ""
        for _ in range(rng.randint(least, most)):
            word = rng.choice(self.words)
            word = rng.choice((word, word, word.capitalize()))
            said += (rng.choice((" ", " ", " ", "/", "-", ".", "_", "@")) if said else "") + word
        return said

    def some(self, rng: Random, least: int, most: int) -> str:
        """Draw several words."""
        return " ".join(self.word(rng) for _ in range(rng.randint(least, most)))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _letters(rng: Random, count: int, alphabet: str) -> str:
    return "".join(rng.choice(alphabet) for _ in range(count))


class _Maker:
    """Draws values; one method a kind."""

    def __init__(self, words: Vocabulary) -> None:
        """Keep the words."""
        self.words = words

    def number(self, rng: Random) -> str:
        """Draw a number."""
        draw = rng.random()
        if draw < 0.1:
            return f"{rng.randrange(1, 100)},{rng.randrange(1000):03d}"
        if draw < 0.2:
            return f"{rng.randrange(100)}.{rng.randrange(100)}"
        return str(rng.randrange(1, 10 ** rng.randint(1, 5)))

    def date(self, rng: Random) -> str:
        """Draw a date."""
        day, month, year = rng.randint(1, 28), rng.randrange(12), rng.randint(1950, 2035)
        name, end = _MONTHS[month], {1: "st", 2: "nd", 3: "rd"}.get(day if day < 20 else day % 10, "th")
        forms = (
            f"{day} {name} {year}",
            f"{day} {name}",
            f"{name} {day}",
            f"{name} {day}, {year}",
            f"the {day}{end} of {name}",
        )
        return rng.choice(
            (*forms, f"{year}-{month + 1:02d}-{day:02d}", f"{day}.{month + 1}.{year}", f"{day:02d}/{month + 1:02d}")
        )

    def time(self, rng: Random) -> str:
        """Draw a time."""
        hour, minute = rng.randrange(24), rng.randrange(60)
        half, twelve = "am" if hour < 12 else "pm", hour % 12 or 12
        forms = (
            f"{hour}:{minute:02d}",
            f"{twelve}:{minute:02d} {half}",
            f"{twelve} {half}",
            f"{hour:02d}:{minute:02d} UTC",
        )
        return rng.choice((*forms, f"half past {_HOURS[twelve - 1]}", f"{_HOURS[twelve - 1]} o'clock"))

    def weekday(self, rng: Random) -> str:
        """Draw a weekday."""
        day = rng.choice(_DAYS)
        return rng.choice(
            (
                day,
                f"{day}s",
                f"{day} morning",
                f"{day} evening",
                f"the first {day} of the month",
                f"{day} and {rng.choice(_DAYS)}",
            )
        )

    def money(self, rng: Random) -> str:
        """Draw a money."""
        amount = rng.choice(
            (
                str(rng.randrange(1, 1000)),
                f"{rng.randrange(1, 100)},{rng.randrange(1000):03d}",
                f"{rng.randrange(100)}.{rng.randrange(100):02d}",
            )
        )
        return rng.choice(_MONEY).format(amount)

    def port(self, rng: Random) -> str:
        """Draw a port."""
        return str(rng.randrange(20, 65536))

    def version(self, rng: Random) -> str:
        """Draw a version."""
        parts = ".".join(str(rng.randrange(30)) for _ in range(rng.randint(2, 3)))
        return rng.choice(
            (parts, f"v{parts}", f"{_capital(self.words.word(rng))} {parts}", f"{parts}-rc{rng.randint(1, 9)}")
        )

    def address(self, rng: Random) -> str:
        """Draw a address."""
        host = f"{self.words.word(rng)}{rng.choice(('.', '-'))}{self.words.word(rng)}.{rng.choice(_HOSTS)}"
        ip = ".".join(str(rng.randrange(256)) for _ in range(4))
        return rng.choice(
            (
                host,
                ip,
                f"{ip}:{rng.randrange(80, 9999)}",
                f"https://{host}",
                f"https://{host}/{self.words.word(rng)}",
                f"{host}/{self.words.word(rng)}?id={rng.randrange(999)}",
            )
        )

    def path(self, rng: Random) -> str:
        """Draw a path."""
        parts = [self.words.word(rng) for _ in range(rng.randint(1, 3))]
        return rng.choice(
            (
                f"/{'/'.join(parts)}",
                f"/var/log/{parts[0]}",
                f"~/{'/'.join(parts)}.txt",
                f"src/{'_'.join(parts)}.py",
                f"C:\\{parts[0]}",
                f"{'-'.join(parts)}.yaml",
            )
        )

    def phone(self, rng: Random) -> str:
        """Draw a phone."""
        groups = [_letters(rng, rng.randint(2, 4), string.digits) for _ in range(rng.randint(2, 4))]
        return rng.choice(("", "+", "0")) + rng.choice((" ", "-")).join(groups)

    def email(self, rng: Random) -> str:
        """Draw a email."""
        name = rng.choice((self.words.word(rng), rng.choice(names.FIRST_NAMES).lower()))
        return f"{name}{rng.choice(('.', '_', ''))}{rng.choice((self.words.word(rng), str(rng.randrange(99))))}@{self.words.word(rng)}.{rng.choice(_HOSTS)}"

    def code(self, rng: Random) -> str:
        """Draw a code."""
        forms: tuple[Callable[[], str], ...] = (
            lambda: _letters(rng, rng.randint(4, 8), string.ascii_uppercase + string.digits),
            lambda: _letters(rng, rng.randint(4, 8), "0123456789abcdef"),
            lambda: _letters(rng, rng.randint(3, 6), string.digits),
            lambda: f"{_letters(rng, 2, string.ascii_uppercase)}-{rng.randrange(10000)}",
            lambda: f"{rng.choice(_COMMANDS)} {self.words.word(rng)}",
            lambda: f"{rng.choice(_COMMANDS)} {self.words.word(rng)} --{self.words.word(rng)}",
            lambda: f"{self.words.word(rng)}_{self.words.word(rng)}({rng.randrange(100)})",
            lambda: f"{self.words.word(rng)}-{self.words.word(rng)}-{rng.randrange(100)}",
            lambda: f"{self.words.word(rng).upper()}_{self.words.word(rng).upper()}={self.words.word(rng)}",
        )
        return rng.choice(forms)()

    def phrase(self, rng: Random) -> str:
        """Draw a phrase."""
        draw = rng.random()
        if draw < 0.3:
            return f"{rng.choice(_WHERE)} the {self.words.some(rng, 1, 3)}"
        if draw < 0.5:
            return f"{rng.choice(('the', 'a', 'no', 'two', 'old', 'her'))} {self.words.some(rng, 1, 3)}"
        return self.words.some(rng, 1, 6)

    def list(self, rng: Random) -> str:
        """Draw a list."""
        items = [
            rng.choice((self.words.word(rng), self.words.some(rng, 1, 2), _capital(names.invented_word(rng))))
            for _ in range(rng.randint(2, 4))
        ]
        return f"{', '.join(items[:-1])} and {items[-1]}"

    def duration(self, rng: Random) -> str:
        """Draw a duration."""
        return rng.choice(
            (
                f"{rng.randint(2, 90)} {rng.choice(_UNITS)}",
                f"{_HOURS[rng.randrange(1, 12)]} {rng.choice(_UNITS)}",
                f"{rng.randint(1, 5)}h {rng.randint(1, 59)}m",
            )
        )

    def size(self, rng: Random) -> str:
        """Draw a size."""
        amount = rng.choice((str(rng.randrange(2, 400)), f"{rng.randrange(40)}.{rng.randrange(1, 10)}"))
        return f"{amount} {rng.choice(_LENGTHS)}"

    def weight(self, rng: Random) -> str:
        """Draw a weight."""
        return f"{rng.choice((str(rng.randrange(2, 900)), f'{rng.randrange(40)}.{rng.randrange(1, 10)}'))} {rng.choice(_WEIGHTS)}"

    def percent(self, rng: Random) -> str:
        """Draw a percent."""
        return rng.choice(
            (
                f"{rng.randrange(100)} %",
                f"{rng.randrange(100)}%",
                f"{rng.randrange(1, 40)} of {rng.randrange(40, 90)}",
                f"{rng.randrange(100)}.{rng.randrange(10)} percent",
            )
        )

    def place(self, rng: Random) -> str:
        """Draw a place."""
        forms = (
            names.place_name(rng),
            _capital(self.words.word(rng)),
            f"the {self.words.some(rng, 1, 2)}",
            f"room {rng.randrange(1, 500)}",
            f"{_capital(self.words.word(rng))} Street {rng.randrange(1, 200)}",
        )
        return rng.choice(forms)

    def person(self, rng: Random) -> str:
        """Draw a person."""
        draw = rng.random()
        if draw < 0.08:
            first, last, least, most = rng.choice(_SCRIPTS)
            return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(least, most)))
        if draw < 0.2:
            return f"{_capital(names.invented_word(rng))} {_capital(names.invented_word(rng))}"
        if draw < 0.35:
            return rng.choice(names.FIRST_NAMES)
        if draw < 0.5:
            return f"{_capital(self.words.word(rng))} {_capital(self.words.word(rng))}"
        return names.person_name(rng)

    def tool(self, rng: Random) -> str:
        """Draw a tool."""
        return rng.choice(
            (
                _capital(self.words.word(rng)),
                _capital(names.invented_word(rng)),
                self.words.word(rng).upper()[:4],
                f"{_capital(self.words.word(rng))}{rng.choice(('JS', ' 3', 'DB', 'Kit', ' Pro'))}",
            )
        )

    def job(self, rng: Random) -> str:
        """Draw a job."""
        return f"a {rng.choice((rng.choice(_JOBS), f'{self.words.word(rng)} {rng.choice(_JOBS)}', names.invented_word(rng).lower()))}"

    def food(self, rng: Random) -> str:
        """Draw a food."""
        return rng.choice(
            (
                rng.choice(_FOOD),
                f"{self.words.word(rng)} {rng.choice(_FOOD)}",
                f"{rng.choice(_FOOD)} and {rng.choice(_FOOD)}",
                self.words.word(rng),
            )
        )

    def word(self, rng: Random) -> str:
        """Draw a word."""
        return rng.choice((self.words.word(rng), self.words.word(rng), names.invented_word(rng).lower()))

    def pet(self, rng: Random) -> str:
        """Draw a pet."""
        return rng.choice(
            (_capital(names.invented_word(rng)), rng.choice(names.FIRST_NAMES), _capital(self.words.word(rng)))
        )

    def colour(self, rng: Random) -> str:
        """Draw a colour."""
        return rng.choice(
            (
                rng.choice(_COLOURS),
                f"{rng.choice(('dark', 'light', 'pale', self.words.word(rng)))} {rng.choice(_COLOURS)}",
                f"{rng.choice(_COLOURS)} and {rng.choice(_COLOURS)}",
            )
        )


_KINDS = (
    "number", "date", "time", "weekday", "money", "port", "version", "address", "path", "phone", "email", "code", "phrase",
    "list", "duration", "percent", "place", "person", "tool", "job", "food", "pet", "colour",
    "size", "weight", "word",
)  # fmt: skip


def kinds_of_values(words: Vocabulary) -> dict[str, Callable[[Random], str]]:
    """Return what draws a value of each kind; ``any`` draws a kind first."""
    maker = _Maker(words)
    makers: dict[str, Callable[[Random], str]] = {kind: getattr(maker, kind) for kind in _KINDS}
    makers["any"] = lambda rng: makers[rng.choice(_KINDS)](rng)
    return makers
