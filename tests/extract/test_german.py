"""German is read by the same engine as English, from words and patterns alone; in doubt nothing is read."""

from __future__ import annotations

import pytest

from agentmem import Memory
from agentmem.extract import Ending, Said, said, said_apart, several, tells_more
from agentmem.extract.english import ENGLISH
from agentmem.extract.german import GERMAN
from agentmem.extract.languages import LANGUAGES, Languages
from agentmem.notes.clock import ManualClock

STATED = [
    ("Ich wohne in Graz.", "user · lives in · Graz"),
    ("Seit 2020 lebe ich in Wien.", "user · lives in · Wien"),
    ("Ich bin letzte Woche nach Linz gezogen.", "user · lives in · Linz"),
    ("Übrigens, ich bin nach Bad Ischl umgezogen!", "user · lives in · Bad Ischl"),
    ("Ana wohnt in Graz.", "Ana · lives in · Graz"),
    ("Meine Schwester wohnt jetzt in Porto.", "user's sister · lives in · Porto"),
    ("Meine Schwester Ines wohnt in Porto.", "Ines · lives in · Porto"),
    ("Mein älterer Bruder arbeitet als Koch.", "user's older brother · works as · Koch"),
    ("Ich arbeite als Klempnerin bei Acme.", "user · works as · Klempnerin"),
    ("Ich arbeite seit März bei der Post.", "user · works at · Post"),
    ("Jetzt arbeite ich als Bäckerin.", "user · works as · Bäckerin"),
    ("Ich bin Lehrerin.", "user · works as · Lehrerin"),
    ("Ich heiße Ana.", "user · name · Ana"),
    ("Mein Hund heißt Rex.", "user's dog · name · Rex"),
    ("Ich mag Pizza.", "user · likes · Pizza"),
    ("Ich hasse Koriander.", "user · dislikes · Koriander"),
    ("Mein Lieblingsessen ist Pizza.", "user · favourite food · Pizza"),
    ("Ich bin 34 Jahre alt.", "user · age · 34"),
    ("Ich bin allergisch gegen Nüsse.", "user · allergic to · Nüsse"),
    ("Ich bin mit Tom verheiratet.", "user · married to · Tom"),
    ("Ich wohne in Graz und arbeite als Klempner.", "user · lives in · Graz | user · works as · Klempner"),
    ("Ich wohne in Graz. Ich arbeite als Klempner.", "user · lives in · Graz | user · works as · Klempner"),
]
ENDED = [
    ("Ich wohne nicht mehr in Graz.", "lives in", "Graz", ""),
    ("Ich wohne nicht mehr in Graz, sondern in Linz.", "lives in", "Graz", "Linz"),
    ("Ich wohne nicht mehr in Graz, jetzt wohne ich in Linz.", "lives in", "Graz", "Linz"),
    ("Früher wohnte ich in Graz, jetzt lebe ich in Linz.", "lives in", "Graz", "Linz"),
    ("Ich bin von Graz nach Linz gezogen.", "lives in", "Graz", "Linz"),
    ("Früher habe ich in Wien gelebt.", "lives in", "Wien", ""),
    ("Ich habe früher bei Acme gearbeitet.", "works at", "Acme", ""),
    ("Ich habe bei Acme gekündigt.", "works at", "Acme", ""),
    ("Ich bin nicht mehr Lehrerin.", "works as", "Lehrerin", ""),
    ("Ich war früher Lehrerin.", "works as", "Lehrerin", ""),
    ("Ich mag Pizza nicht mehr.", "likes", "Pizza", ""),
    ("Ich bin geschieden.", "married to", None, ""),
]
NOTHING = {
    "question": ["Wohne ich in Graz?", "Wo wohne ich?", "Arbeitet Ana bei Acme?", "Wer wohnt in Graz?"],
    "wish": ["Ich würde gern in Graz wohnen.", "Ich möchte nach Linz ziehen.", "Hoffentlich wohne ich bald in Graz.", "Ich will als Koch arbeiten."],
    "plan": ["Ich werde nach Linz ziehen.", "Ich ziehe nach Linz.", "Ich wohne bald in Graz.", "Nächstes Jahr wohne ich in Graz."],
    "quote": ["Tom sagte: „Ich wohne in Graz.“", '"Ich wohne in Graz", sagte Tom.', "»Ich wohne in Graz«", "Übersetze: Ich wohne in Graz."],
    "report": ["Sie sagt, ich wohne in Graz.", "Ich glaube, Ana wohnt in Graz.", "Angeblich wohnt Ana in Graz.", "Ich habe gehört, Ana wohnt in Graz."],
    "other people": ["Er wohnt in Graz.", "Sie arbeitet als Köchin.", "Du wohnst in Graz.", "Mein Freund wohnt in Graz.", "Meine Kollegin heißt Ana.", "Ihr Bruder wohnt in Graz."],
    "condition": ["Wenn ich in Graz wohne, fahre ich Rad.", "Falls ich nach Linz ziehe, rufe ich an."],
    "denial": ["Ich wohne nicht in Graz.", "Ich mag keine Pizza.", "Ich habe nie in Graz gewohnt."],
    "doubt": ["Vielleicht bin ich bald in Linz.", "Ich wohne fast in Graz.", "Ich wohne in Graz. Stimmt nicht, war nur Spaß.", "Ich wohne in Graz. Moment, doch nicht."],
    "passing": ["Ich wohne diese Woche in Graz.", "Ich wohne für zwei Monate in Wien.", "Ich arbeite vorübergehend bei Acme."],
    "past": ["Ich wohnte in Graz.", "Als Kind wohnte ich in Graz.", "Früher war alles besser."],
    "no such value": [
        "Ich lebe in Scheidung.", "Ich lebe in Angst.", "Ich arbeite bei Nacht.", "Ich arbeite als Team am besten.", "Ich mag dich.", "Ich mag den Film.",
        "Ich bin müde.", "Ich bin Vater.", "Ich bin nach Hause gezogen.", "Ich wohne in einer WG.", "Ich bin nach Notion umgezogen.",
    ],
}  # fmt: skip


def facts(text: str) -> str:
    return " | ".join(str(fact) for fact in said(text).facts)


@pytest.mark.parametrize(("text", "stated"), STATED, ids=[text for text, _ in STATED])
def test_a_plain_statement_is_read(text: str, stated: str) -> None:
    assert facts(text) == stated
    assert said(text).ended == ()


@pytest.mark.parametrize(("text", "relation", "value", "now"), ENDED, ids=[text for text, *_ in ENDED])
def test_what_is_no_longer_so_is_read(text: str, relation: str, value: str | None, now: str) -> None:
    assert said(text).ended == (Ending("user", relation, value),)
    assert facts(text) == (f"user · lives in · {now}" if now else "")


@pytest.mark.parametrize("text", [text for texts in NOTHING.values() for text in texts])
def test_in_doubt_nothing_is_read(text: str) -> None:
    """Wishes, plans, quotes, reports, other people, conditions, doubts, and values that are none."""
    assert said(text) == Said()


def test_an_agent_is_nobody_and_a_name_is_somebody() -> None:
    assert said("Ich wohne in Graz.", "assistant") == Said()
    assert [fact.subject for fact in said("Ich wohne in Graz.", "Ana").facts] == ["Ana"]


@pytest.mark.parametrize(
    "text", ["Vivo a Lisbona.", "J'habite à Porto.", "Mieszkam w Krakowie.", "我住在波尔图。", "", "?!"]
)
def test_what_no_pack_knows_yields_nothing(text: str) -> None:
    assert said(text) == Said()


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("I live in Graz and my sister is here.", [ENGLISH]), ("Ich wohne in Graz.", [GERMAN]), ("Ana studies at MIT.", [ENGLISH]),
        ("Ana wohnt in Graz.", [ENGLISH, GERMAN]), ("Ursula von der Leyen lives in Brussels.", [ENGLISH, GERMAN]), ("Jan de Vries runs Acme.", [ENGLISH, GERMAN]),
    ],
)  # fmt: skip
def test_a_text_is_read_in_the_language_of_its_little_words(text: str, languages: list[object]) -> None:
    """Those of no language, or of both, leave it to whoever reads anything."""
    assert LANGUAGES.of(text) == languages


def test_without_german_nothing_german_is_read() -> None:
    assert all(Languages((ENGLISH,)).said(text) == Said() for text, _ in STATED)
    assert all(facts(text) == stated for text, stated in STATED)


def test_what_a_note_tells_beside_its_facts_is_known_in_german() -> None:
    both, more = "Ich wohne in Graz und arbeite als Klempner.", "Ich wohne seit Mai in Graz, mit drei Katzen."
    stated = said(both).facts

    assert not tells_more(both, stated)
    assert tells_more(more, said("Ich wohne in Graz.").facts)
    assert (several(both), several("Ich wohne in Graz.")) == (True, False)


def test_across_languages_a_newer_value_ends_the_older_one() -> None:
    """Relations have one name; what else a German note says is quoted in German."""
    clock = ManualClock()
    with Memory(None, embedder="hash", clock=clock) as memory:
        old = memory.remember("Ich wohne in Graz und arbeite als Klempner.")
        clock.advance(days=30)
        new = memory.remember("I moved to Linz.")
        note = memory.get(old.id)

        assert [(fact.object, fact.ended_by) for fact in note.facts] == [("Graz", new.id), ("Klempner", None)]
        assert "] Ich arbeite als Klempner." in memory.recall("Graz Klempner").context()
        assert [words for words, _ in said_apart(note)] == ["Ich wohne in Graz", "Ich arbeite als Klempner"]
        clock.advance(days=30)
        last = memory.remember("Ich wohne nicht mehr in Linz, sondern in Wien.")
        assert last.superseded == (new.id,)
        memory.forget(last.id)
        assert memory.get(new.id).valid_to is None
