"""German words that say something of the whole text, as data."""

from __future__ import annotations

import re
from typing import Final

from agentmem.extract.language import WordLists

__all__ = ["WORDS"]

_KNOWN: Final = frozenset(
    """ich wir mich mir dich dir uns euch mein meine meinen meiner meinem dein deine deinen deiner seine seinen ihre ihren ist sind
    seid wird werde wurde habe haben hatte nicht kein keine keinen und aber auch noch nur schon sehr mit ohne für auf aus bei nach
    seit über zum zur vom das dass ein eine einen einer einem sich sie wenn weil jetzt heute gestern immer hier dort wie wo warum
    mehr früher heißt heiße doch nein gern gerne als in an am so was also all her""".split()
)
"""Little words; those that English has too, such as "in", tell neither. What may stand within names ("von", "der") is left out."""
_DOUBT: Final = (
    r"stimmt nicht|nicht wahr|war nur spaß|nur spaß|scherz|gelogen|quatsch|moment|nein|doch nicht|nicht sicher|keine ahnung|ich meine?|bis vor|gekündigt|"
    r"ausgezogen|weggezogen|zurückgezogen|getrennt|geschieden|(?:hat|haben|habe) (?:er|sie|ich|man|jemand)\b.* (?:gesagt|erzählt|behauptet|gehört)|"
    r"(?:sagt|sagte|behauptet|meint|erzählt)(?:e|en)?\b"
)

WORDS: Final = WordLists(
    known=_KNOWN,
    quotes=frozenset('"“”„‚‘«»›‹`<>{}[]|=\n\t*'),
    abbreviation=re.compile(r"(?:\b[A-ZÄÖÜ]|\b(?:Dr|Mag|Prof|Ing|St|Str|bzw|ca|z\.B|u\.a|d\.h)|\b\d{1,2})\.$"),
    fiction=(
        "zum beispiel",
        "z.b.",
        "im roman",
        "im spiel",
        "rollenspiel",
        "stell dir vor",
        "angenommen",
        "es war einmal",
        "im traum",
        "geträumt",
    ),
    wording=re.compile(
        r"\bübersetz\w*|\b(?:der|dieser|folgende[rn]?|dieses|diesen) (?:satz|text|absatz)\b|\bwie sagt man|\bgrammatik|\bformulier\w*|\bkorrigier\w*"
        r"|\b(?:eine|die) (?:kurz)?geschichte\b|\b(?:ein|das) gedicht\b|^du (?:bist|heißt)\b"
    ),
    doubt=re.compile(rf"\b(?:{_DOUBT})\b", re.IGNORECASE),
    since=re.compile(
        r"(?:und |aber )?(?:dann|danach|später|seitdem|inzwischen|jetzt|nun|heute|eigentlich)\b", re.IGNORECASE
    ),
    ends=re.compile(
        r"\b(?:nicht mehr|kein\w* .*mehr|früher|gekündigt|verloren|gezogen|umgezogen|weggezogen|ausgezogen|geschieden|aufgehört)\b",
        re.IGNORECASE,
    ),
    taken_back=re.compile(rf"\b(?:{_DOUBT}|wieder|immer noch|weiterhin)\b", re.IGNORECASE),
    joint=re.compile(r",? und |,? aber |; ?", re.IGNORECASE),
    joiner="und",
    own=_KNOWN | frozenset("bin bist der die den dem des von zu im es er du user name".split()),
    said_with={
        relation: frozenset(said.split())
        for relation, said in {
            "lives in": "wohne wohnt lebe lebt gezogen umgezogen übersiedelt bin ist",
            "works at": "arbeite arbeitet angestellt beschäftigt",
            "works as": "arbeite arbeitet Beruf",
            "likes": "mag liebe liebt",
            "dislikes": "hasse hasst",
            "age": "Jahre alt",
            "name": "heiße heißt",
            "allergic to": "allergisch gegen",
            "married to": "verheiratet",
            "from": "komme kommt stamme stammt",
            "speaks": "spreche spricht",
            "studies": "studiere studiert",
            "studies at": "studiere studiert",
            "birthday": "Geburtstag",
        }.items()
    },
    bare=lambda word: word[:-1] if len(word) > 3 and word[-1] in "ent" else word,
)
