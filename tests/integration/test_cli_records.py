"""Values under keys on the command line: JSON in, JSON out, and nothing of anybody else's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
ANA = {"name": "Ana", "home": {"city": "Porto", "since": 2019}}
BEN = {"name": "Ben", "home": {"city": "Graz", "since": 2023}}


@pytest.fixture
def records(run: Run) -> Run:
    def on(*words: str, **options: Any) -> Any:
        return run("records", *words, "-u", "team", **options)

    for name, value in (("ana", ANA), ("ben", BEN)):
        assert on("put", f"users.{name}", "profile", json.dumps(value)).exit_code == 0
    return on


def test_a_value_comes_back_as_it_went_in(records: Run) -> None:
    """`get` prints the value alone, and with --json its namespace, id and times besides."""
    value, whole = records("get", "users.ana", "profile"), records("get", "users.ana", "profile", "--json")

    assert json.loads(value.stdout) == ANA
    assert set(json.loads(whole.stdout)) == {
        "namespace", "key", "value", "id", "created_at", "updated_at", "expires_at", "score",
    }  # fmt: skip


def test_a_value_may_come_from_stdin_and_gives_way_in_place(records: Run) -> None:
    before = json.loads(records("get", "users.ana", "profile", "--json").stdout)
    put = records("put", "users.ana", "profile", "-", "--json", input='\ufeff{"name": "Ana", "schön": true}\n')

    assert json.loads(put.stdout)["value"] == {"name": "Ana", "schön": True}
    assert json.loads(put.stdout)["id"] == before["id"]


def test_records_are_found_by_words_by_filters_and_below_a_namespace(records: Run) -> None:
    def found(*words: str) -> list[str]:
        said = records("search", *words, "--json")
        assert said.exit_code == (0 if json.loads(said.stdout)["records"] else 1)
        return [record["value"]["name"] for record in json.loads(said.stdout)["records"]]

    assert found() == ["Ben", "Ana"]
    assert found("Porto", "--limit", "1") == ["Ana"]
    assert found("--filter", '{"home.since": {"$gte": 2020}}') == ["Ben"]
    assert found("--in", "users.ana") == ["Ana"]
    assert found("--in", "elsewhere") == []
    assert found("Porto", "--min-score", "0.99") == []
    assert "Porto" in records("search", "Porto").stdout


def test_what_is_not_indexed_is_found_by_its_key_alone(records: Run) -> None:
    records("put", "docs", "one", '{"title": "Tides", "body": "Porto"}', "--index", "title")
    records("put", "docs", "two", '{"title": "Porto"}', "--no-index")

    hits = json.loads(records("search", "Porto", "--in", "docs", "--json").stdout)["records"]

    assert [hit["key"] for hit in hits] == ["one"]
    assert hits[0]["score"] < 0.2
    assert json.loads(records("get", "docs", "two").stdout) == {"title": "Porto"}


def test_namespaces_are_listed(records: Run) -> None:
    listed = json.loads(records("list", "users", "--json").stdout)["namespaces"]

    assert listed == [["users", "ana"], ["users", "ben"]]
    assert json.loads(records("list", "--depth", "1", "--json").stdout)["namespaces"] == [["users"]]
    assert json.loads(records("list", "*.ben", "--json").stdout)["namespaces"] == [["users", "ben"]]
    assert "users.ana" in records("list", "--suffix", "ana").stdout
    assert records("list", "elsewhere").exit_code == 1


def test_deleting_asks_and_shows_the_receipt(records: Run) -> None:
    """A dry run and a no change nothing; a yes forgets the note as well; what is not there is exit code 1."""
    delete = ("delete", "users.ana", "profile")

    assert records(*delete, "--dry-run").exit_code == 0
    assert records(*delete, input="n\n").exit_code == 4
    assert json.loads(records("get", "users.ana", "profile").stdout) == ANA
    receipt = json.loads(records(*delete, "--yes", "--json").stdout)
    assert receipt["gone"]
    assert receipt["places"]["records"] == 1
    assert records(*delete, "--yes").exit_code == 1
    assert records("get", "users.ana", "profile", "--json").stdout == "null\n"


def test_a_lifetime_is_kept_and_given_anew(records: Run) -> None:
    records("put", "codes", "door", '{"door": 4711}', "--ttl", "10")
    first = json.loads(records("get", "codes", "door", "--json").stdout)["expires_at"]
    time.sleep(0.01)

    assert json.loads(records("get", "codes", "door", "--refresh", "--json").stdout)["expires_at"] >= first
    assert json.loads(records("get", "codes", "door", "--json").stdout)["expires_at"] > first


def test_nobody_elses_records_are_there(records: Run, run: Run) -> None:
    assert run("records", "get", "users.ana", "profile", "-u", "somebody").exit_code == 1
    assert run("records", "list", "-u", "somebody").exit_code == 1
    assert run("records", "delete", "users.ana", "profile", "-u", "somebody", "--yes").exit_code == 1
    assert json.loads(records("get", "users.ana", "profile").stdout) == ANA


@pytest.mark.parametrize(
    "words",
    [
        ("put", "a", "k", "{not json"),
        ("put", "a", "k", "[1]"),
        ("put", "a", "k", '{"a": NaN}'),
        ("put", "a", "k", "[" * 100_000),
        ("put", "a..b", "k", "{}"),
        ("put", "", "k", "{}"),
        ("put", "a", "", "{}"),
        ("put", "a", "k", "{}", "--ttl", "0"),
        ("put", "a", "k", "{}", "--trust", "maybe"),
        ("put", "a", "k", "{}", "--index", "..", "--importance", "0.5"),
        ("put", "a", "k", "{}", "--index", "title", "--no-index"),
        ("search", ""),
        ("search", "--filter", "[]"),
        ("search", "--filter", '{"a": {"$bad": 1}}'),
        ("search", "--in", "a..b"),
        ("nonsense",),
        (),
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_wrong_usage_is_2_and_stores_nothing(records: Run, words: tuple[str, ...]) -> None:
    assert records(*words).exit_code == 2
    assert len(json.loads(records("search", "--json").stdout)["records"]) == 2


@pytest.mark.parametrize("verb", ["put", "get", "delete", "search", "list"])
def test_every_verb_has_help(run: Run, verb: str) -> None:
    result = run("records", verb, "--help")

    assert result.exit_code == 0
    assert "--json" in result.stdout
