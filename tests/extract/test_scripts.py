"""Words in every script: what one is, where there are no blanks, and which letters a text is written with."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.extract import keywords, tags
from agentmem.extract.scripts import WORD, cut, outside, pieces
from agentmem.extract.stems import Tokenizer
from agentmem.recall.query import asked_part, query_terms, query_words


def terms(text: str) -> list[str]:
    tokens = Tokenizer()
    return [term for word in tokens.words(text) for term in tokens.terms(word)]


_LATIN = st.characters(max_codepoint=0x24F, exclude_categories=["Cs"])
_OTHERS = st.sampled_from(
    [*"абвйёё–—…“”’‘•·€™½①αβγἀهبתשא", "\n", "\u00a0", "\U0001f600", "❤\ufe0f", "1\ufe0f\u20e3", "e\u0301"]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(_LATIN, _OTHERS), max_size=60).map("".join))
def test_text_with_blanks_has_the_words_that_it_always_had(text: str) -> None:
    """Runs of letters and digits, folded, Latin ones without accents, each as its stem: nothing of other scripts changes that."""
    if text.isascii():
        words = re.findall(r"[^\W_]+", text.lower())
    else:
        bare = re.sub("(?<=[a-z])[\u0300-\u036f]+", "", unicodedata.normalize("NFD", text.casefold()))
        words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", bare))

    assert Tokenizer().words(text) == words


def test_signs_belong_to_words_and_nothing_else_does() -> None:
    """Of all letters, digits, signs, punctuation, symbols and blanks beyond Latin: whether it goes on with the word before it.

    Signs of mathematics and what chooses a picture for a symbol do not.
    """
    goes_on = re.compile(WORD)
    wrong = []
    for code in range(0x370, 0x10000):
        kind = unicodedata.category(chr(code))
        if (kind[0] in "CM" and kind not in ("Cc", "Mn", "Mc")) or 0x20D0 <= code <= 0x20F0 or 0xFE00 <= code <= 0xFE0F:
            continue
        if (kind[0] in "LMN") != (goes_on.fullmatch(f"a{chr(code)}") is not None):
            wrong.append(f"{code:x} {unicodedata.name(chr(code), kind)}")
    assert not wrong


RUNS = [
    "我昨天在东京买了一台相机",
    "私はカメラを買いました",
    "ฉันซื้อกล้องที่โตเกียว",
    "ខ្ញុំបានទិញ",
    "ຂ້ອຍຊື້ກ້ອງ",
    "ကျွန်တော်ဝယ်ခဲ့တယ်",
    "카메라를",
]


@pytest.mark.parametrize("run", RUNS)
def test_a_part_of_a_text_without_blanks_has_a_part_of_its_words(run: str) -> None:
    """So a phrase is found wherever it stands, and each letter and each pair of letters in it; letters keep their signs."""
    letters = re.findall(r"[^\W_]\W*", run)
    whole = terms(run)
    assert whole == cut([run], singles=True)
    for start in range(len(letters)):
        for end in range(start + 1, len(letters) + 1):
            part = terms("".join(letters[start:end]))
            assert any(whole[at : at + len(part)] == part for at in range(len(whole)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("iPhone手机", ["iphon", "手", "手机", "机"]),
        ("2019年", ["2019", "年"]),
        ("猫", ["猫"]),
        ("猫、犬", ["猫", "犬"]),
        ("ﾃﾚﾋﾞ", ["テ", "テレ", "レ", "レビ", "ビ"]),
        (unicodedata.normalize("NFD", "テレビ"), ["テ", "テレ", "レ", "レビ", "ビ"]),
        ("ＡＢＣ１２", ["abc12"]),
        ("ကျောင်း", ["ကျော", "ကျောင်း", "င်း"]),
        ("서울에서 삽니다", ["서", "서울", "울", "울에", "에", "에서", "서", "삽", "삽니", "니", "니다", "다"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("தமிழ் মা বাবা।", ["தமிழ்", "মা", "বাবা"]),
        ("за́мок", ["замок"]),
        ("مُحَمَّد محمـد", ["محمد", "محمد"]),
        ("שָׁלוֹם", ["שלום"]),
    ],
)
def test_what_words_are_in_other_scripts(text: str, found: list[str]) -> None:
    assert terms(text) == found


def test_borders_of_scripts_are_borders_of_words() -> None:
    assert list(pieces("我的iPhone15手机")) == [("我的", True), ("iPhone15", False), ("手机", True)]


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_every_text_is_found_by_its_own_words(text: str) -> None:
    """In any script and in any mixture."""
    found = terms(text)
    assert all(found)
    assert bool(found) or not any(unicodedata.category(letter) == "Ll" for letter in text)
    for word in query_words(text):
        part = terms(word)
        assert any(found[at : at + len(part)] == part for at in range(len(found)))


def test_a_query_without_blanks_becomes_terms() -> None:
    """Pairs of letters first, since the first 64 count; what asks goes, unless nothing else is there."""
    assert query_words("黑豹队的防守丢了多少分？") == ["黑豹", "豹队", "队的", "的防", "防守", "守丢", "丢了", "分"]
    assert query_terms("谁养猫？") == ["养猫", "养", "猫"]
    assert query_words("什么？") == ["什么"]
    assert query_words("When did iPhone手机 appear?") == ["iphone", "手机", "appear"]
    assert query_terms("How did the 猫 get here?") == ["猫", "get", "here"]
    assert query_terms("Where does Ana live?") == ["ana", "live"]


def test_a_long_message_without_blanks_asks_what_it_asks() -> None:
    told = "我们昨天讨论了新的项目计划和预算安排。" * 30
    assert asked_part(f"{told}黑豹队的防守丢了多少分？") == "黑豹队的防守丢了多少分？"


@pytest.mark.parametrize(
    ("text", "scripts", "share"),
    [
        ("Where does Ana live?", ("Latin",), 0.0),
        ("Wo wohnt Jürgen?", ("latin",), 0.0),
        ("他住在哪里？", ("Latin",), 1.0),
        ("他住在哪里？", ("Han",), 0.0),
        ("где", "Cyrillic", 0.0),
        ("ab猫犬 12 !?", ("Latin",), 0.5),
        ("ＡＢ", ("Latin",), 0.0),
        ("トーキョー々", ("Han", "Katakana"), 0.0),
        ("他住在哪里？", None, 0.0),
        ("12 !?", (), 0.0),
    ],
)
def test_the_share_of_letters_outside_of_scripts(text: str, scripts: tuple[str, ...] | None, share: float) -> None:
    assert outside(text, scripts) == share


def test_keywords_are_no_sentences() -> None:
    """Of a script without blanks what stands between words that mean nothing by themselves, if it is short; in others whole words with their signs."""
    assert keywords("我昨天在东京买了一台相机。") == ["一台相机", "东京买", "昨天"]
    assert keywords("私は東京でカメラを買いました。") == ["カメラ", "東京"]
    assert keywords("ผมชอบไปเที่ยวทะเลกับครอบครัวทุกปี") == []
    assert keywords("नमस्ते दुनिया") == ["नमस्ते", "दुनिया"]


def test_hashtags_keep_their_signs() -> None:
    assert tags("#หนังสือ #हिन्दी #two-words") == ["two-words", "हिन्दी", "หนังสือ"]


def test_reading_long_texts_without_blanks_is_quick() -> None:
    """A note as long as may be, of nothing but one run."""
    begun = time.perf_counter()
    assert len(terms("猫" * 20_000)) == 39_999
    query_terms("猫犬" * 10_000)
    keywords("猫犬鸟" * 6_000)
    assert time.perf_counter() - begun < 2
