"""What is said of a PostgreSQL database before one is reached."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agentmem import Memory
from agentmem.errors import InvalidArgument, MissingExtra
from agentmem.notes.address import address_of, is_url, shown
from agentmem.stores.dicts import DictStore
from agentmem.stores.postgres.texts import read, written


def test_a_driver_that_is_not_installed_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra) as caught:
        Memory("postgresql://ana@127.0.0.1/memory")
    assert "pip install" in caught.value.hint
    assert "postgres" in caught.value.hint


def test_one_place_is_given_and_not_two() -> None:
    with pytest.raises(InvalidArgument, match="another"):
        Memory("postgresql://ana@127.0.0.1/memory", store=DictStore())


@pytest.mark.parametrize(
    "place",
    ["redis://h/0", "s3://bucket/notes", "sqlite:///notes.db", "mysql+pymysql://ana:s3cret@h/db", "file:///tmp/notes"],
)
def test_an_address_of_something_else_makes_no_directory(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory would have the password in its name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument) as caught:
        Memory(place)
    assert "s3cret" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_scheme_has_no_case_and_may_name_a_driver() -> None:
    assert address_of("POSTGRESQL://ana@h/db") == "postgresql://ana@h/db"
    assert address_of("postgresql+psycopg://ana@h/db?a=1") == "postgresql://ana@h/db?a=1"
    assert address_of("notes/postgresql") is None
    assert address_of("C:\\notes") is None


def test_an_address_is_shown_without_its_passwords() -> None:
    assert shown("postgresql://ana:s3cret@h/db?sslpassword=x&a=1") == "postgresql://ana:…@h/db?sslpassword=…&a=1"
    assert shown("postgres:///db?password=x") == "postgres:///db?password=…"
    assert is_url("postgres://h/db")
    assert not is_url("notes/postgresql")


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "\1", "\1\2\2", "\3\0\2\1", "é\0😀"])
def test_a_text_with_zero_characters_comes_back_and_keeps_its_order(text: str) -> None:
    assert "\0" not in written(text)
    assert read(written(text)) == text
    for other in ["\0", "\1", "\2", "\3", "\4", "a", "a\0", "a\1"]:
        assert (written(text) < written(other)) == (text < other)
        assert (written(other) in written(text)) == (other in text)
