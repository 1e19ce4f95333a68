"""Enrichment by a language model: notes are described, linked and evolved; what goes wrong is seen and loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agentmem import Fact, Memory, Settings
from agentmem.errors import InvalidArgument, InvalidNote, JobLocked, ModelError
from agentmem.notes.note import MemoryState, Note
from agentmem.notes.rows import EditRow
from agentmem.settings import EnrichmentSettings, IndexSettings

EXACT = IndexSettings(backend="exact")
CELLO = "Ana's sister Ines plays the cello."
CONCERT = "Ines plays the cello in a concert tomorrow."
GOOD = {"keywords": ["music"], "context": "About a musician in the family.", "tags": ["Music"], "fact": None}


def events(memory: Memory, name: str) -> list[Any]:
    with memory._parts.core.store.read() as tx:
        return [e for e in tx.ledger.entries() if e.event == name]


def relate(relation: str = "elaborates", **evolution: Any) -> Callable[..., Any]:
    """Links the new note to the first older one, and evolves that."""

    def answer(asked: Any) -> dict[str, Any]:
        other = asked.notes[1]["id"]
        evolve = [{"id": other, "reason": "now there is a concert", **evolution}] if evolution else []
        return {"links": [{"id": other, "relation": relation}], "evolve": evolve}

    return answer


# -- what it does ------------------------------------------------------------------------------------------------


def test_remember_asks_no_model(memory: Memory, server: Any):
    memory.remember(CELLO)

    assert server.seen == []
    assert memory.stats()["enrichment"] == {"done": 0, "kept": 0, "failed": 0, "outstanding": 1}


def test_a_note_gets_keywords_context_and_tags_and_nothing_else_changes(memory: Memory, server: Any):
    server.answers["note"] = GOOD
    id = memory.remember(CELLO, user="ana", tags=["own"], trust=0.8, metadata={"a": 1}).id
    before = memory.get(id, user="ana")

    report = memory.enrich()
    after = memory.get(id, user="ana")

    assert report.ok
    assert report.enriched == (id,)
    assert report.outstanding == 0
    assert after.context == GOOD["context"]
    assert set(before.tags) | {"music"} == set(after.tags)
    assert set(before.keywords) < set(after.keywords)
    assert "music" in after.keywords
    for field in Note.__dataclass_fields__.keys() - {"context", "tags", "keywords", "version"}:
        assert getattr(after, field) == getattr(before, field), field


def test_a_second_run_has_nothing_to_do(memory: Memory, server: Any):
    memory.remember(CELLO)
    memory.enrich()
    asked = len(server.seen)

    assert memory.enrich().enriched == ()
    assert len(server.seen) == asked


def test_notes_are_linked_and_evolve_by_id_and_the_history_says_why(memory: Memory, server: Any):
    server.answers["neighbours"] = relate(context="Ines, who gives concerts.", tags=["concerts"])
    first, second = (memory.remember(text, user="ana").id for text in (CELLO, CONCERT))
    base = memory.get(first, user="ana")

    report = memory.enrich()
    evolved = memory.get(first, user="ana")

    assert report.links == 1
    assert report.evolved == (first,)
    with memory._parts.core.store.read() as tx:
        links = [
            (k.source, k.target, k.reason)
            for k in tx.links.public(list(tx.notes.rows_of([first]).values()))
            if k.kind == "related"
        ]
    assert links == [(second, first, "the model: elaborates")]
    assert evolved.context == "Ines, who gives concerts."
    assert set(base.tags) | {"concerts"} == set(evolved.tags)
    assert evolved.content == CELLO
    assert memory.history(first, user="ana")[-1].reason == f"evolved by note {second}: now there is a concert"
    assert [e.details["by"] for e in events(memory, "evolved")] == [second]


def test_new_words_are_described_anew(memory: Memory):
    id = memory.remember(CELLO).id
    memory.enrich()
    memory.update(id, "Bruno plays chess.")

    assert memory.stats()["enrichment"]["outstanding"] == 1
    assert memory.enrich().enriched == (id,)
    assert memory.get(id).context == "Tells about Bruno."


def test_a_limit_leaves_the_rest_outstanding(memory: Memory):
    ids = [memory.remember(text).id for text in (CELLO, "Bruno plays chess.", "Carla paints.")]

    report = memory.enrich(2)

    assert report.enriched == tuple(ids[:2])
    assert report.outstanding == 1


def test_a_grounded_fact_is_taken_and_an_invented_one_is_not(memory: Memory, server: Any):
    server.answers["note"] = lambda asked: (
        GOOD
        | {
            "fact": {
                "subject": "Ines",
                "relation": "instrument",
                "object": "cello" if "cello" in asked.notes[0]["text"] else "tuba",
            }
        }
    )
    told = memory.remember("For years now, the cello has been what Ines practises.").id
    silent = memory.remember("Ines was late.").id
    assert memory.get(told).fact is None

    memory.enrich()

    assert memory.get(told).fact == Fact("Ines", "plays", "cello", functional=False)
    assert memory.get(silent).fact is None


def test_what_a_user_says_of_themselves_is_a_fact_about_the_user(memory: Memory, server: Any):
    """A model reads "I" as it likes; the fact is the one that a rule would have read, so that the newer one closes it."""
    server.answers["note"] = GOOD | {"fact": {"subject": "I", "relation": "home city", "object": "Porto"}}
    id = memory.remember("These days the place where I sleep is Porto.", user="ana").id
    assert memory.get(id, user="ana").fact is None

    memory.enrich()
    memory.clock.advance(hours=1)
    receipt = memory.remember("I moved to Rome.", user="ana")

    assert memory.get(id, user="ana").fact == Fact("user", "lives in", "Porto")
    assert receipt.superseded == (id,)


def test_an_edit_in_the_weights_goes_along_with_an_evolved_note(memory: Memory):
    id = memory.remember(CELLO).id
    with memory._parts.core.store.write() as tx:
        tx.ledger.put_edit(EditRow("edit-1", id, 1, "grace", "active", 1, {"prompt": "?", "target": "!"}))

    memory.enrich()

    with memory._parts.core.store.read() as tx:
        assert [e.note_version for e in tx.ledger.edits()] == [memory.get(id).version]


def test_a_prompt_shows_notes_of_one_user_and_one_agent_only(memory: Memory, server: Any):
    for user, agent in (("ana", None), ("ana", "coach"), ("ben", None), (None, None)):
        for text in (CELLO, CONCERT):
            memory.remember(f"{text} Said for {user} and {agent}.", user=user, agent=agent)

    memory.enrich()

    with_others = [asked for asked in server.seen if asked.task == "neighbours"]
    assert len(with_others) == 4
    for asked in with_others:
        assert len({n["text"].split("Said for")[1] for n in asked.notes}) == 1


def test_a_bound_memory_enriches_its_own_notes_only(memory: Memory):
    hers, his = memory.remember(CELLO, user="ana").id, memory.remember(CONCERT, user="ben").id

    assert memory.enrich(user="ana").enriched == (hers,)
    assert memory.enrich().enriched == (his,)


def test_a_secret_is_not_shown(memory: Memory, server: Any):
    id = memory.remember("My password is hunter2-Xq9z.").id

    report = memory.enrich()

    assert report.kept == (id,)
    assert server.seen == []
    assert memory.stats()["enrichment"]["kept"] == 1
    assert report.outstanding == 0


@pytest.mark.parametrize("then", ["nothing", "another turn", "rebuild"])
def test_full_text_finds_a_note_by_a_keyword_that_it_does_not_use(memory: Memory, server: Any, then: str):
    server.answers["note"] = GOOD | {"keywords": ["stringed"]}
    id = memory.remember("Ines plays the cello.", session="s").id
    memory.enrich()
    if then == "another turn":
        memory.remember("She began at six.", session="s")
    if then == "rebuild":
        memory.rebuild("text")

    with memory._parts.core.store.read() as tx:
        found = [tx.notes.load([row])[row].id for row, _ in memory._parts.core.text.search(tx, ["stringed"], (1,), 5)]

    assert found == [id]


# -- what goes wrong ---------------------------------------------------------------------------------------------


def test_the_model_is_told_what_was_wrong_and_may_answer_again(memory: Memory, server: Any):
    server.answers["note"] = ["{not json", GOOD]
    id = memory.remember(CELLO).id

    report = memory.enrich()

    assert report.ok
    assert report.retried == 1
    assert memory.get(id).context == GOOD["context"]
    assert "not valid: the JSON cannot be read" in server.seen[1].messages[-1]["content"]
    assert server.seen[1].messages[-2] == {"role": "assistant", "content": "{not json"}


BAD = {
    "no json": "I'd rather not.",
    "a refusal": "I'm sorry, but I can't help with that.",
    "nothing": "",
    "cut off": '{"keywords": ["a", "b',
    "a list": "[1, 2]",
    "missing fields": '{"keywords": []}',
    "wrong types": '{"keywords": "music", "context": 3, "tags": [[]]}',
    "deep nesting": '{"keywords": ' + "[" * 100_000,
    "half a character": '{"keywords": [], "tags": [], "context": "\\ud83d"}',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_wrong_answer_is_seen_bounded_and_leaves_the_note_as_it_was(memory: Memory, server: Any, bad: str):
    server.answers["note"] = bad
    id = memory.remember(CELLO).id
    before, history = memory.get(id), memory.history(id)

    report = memory.enrich()

    assert len(server.seen) == report.calls == 3
    assert report.retried == 2
    assert [f.what for f in report.failures] == [id]
    assert not report.ok
    assert report.outstanding == 1
    assert not report.failures[0].given_up
    assert (memory.get(id), memory.history(id)) == (before, history)
    assert [(e.note_id, e.details["reason"]) for e in events(memory, "enrich_failed")] == [(id, "invalid answer")]


def test_a_note_that_always_fails_is_given_up_until_asked_for_again(memory: Memory, server: Any):
    server.answers["note"] = "no"
    id = memory.remember(CELLO).id

    given_up = [memory.enrich().failures[0].given_up for _ in range(3)]

    assert given_up == [False, False, True]
    assert memory.stats()["enrichment"] == {"done": 0, "kept": 0, "failed": 1, "outstanding": 0}
    asked = len(server.seen)
    assert memory.enrich().calls == 0
    assert len(server.seen) == asked
    server.answers["note"] = GOOD
    assert memory.enrich(again=True).enriched == (id,)
    assert memory.stats()["enrichment"]["failed"] == 0


def test_one_bad_note_does_not_hold_up_the_others(memory: Memory, server: Any):
    server.answers["note"] = lambda asked: "no" if "cello" in asked.notes[0]["text"] else GOOD
    bad, good = memory.remember(CELLO).id, memory.remember("Bruno plays chess.").id

    report = memory.enrich()

    assert report.enriched == (good,)
    assert [f.what for f in report.failures] == [bad]


@pytest.mark.parametrize("id", ["1", "0", "note-1", "", "00000000-0000-7000-8000-000000000000"])
@pytest.mark.parametrize("part", ["links", "evolve"])
def test_an_id_that_was_not_shown_is_refused_and_nothing_is_applied(memory: Memory, server: Any, id: str, part: str):
    said = {"id": id, "relation": "elaborates", "context": "taken over", "reason": "because"}
    server.answers["neighbours"] = {part: [said]}
    first, second = memory.remember(CELLO).id, memory.remember(CONCERT).id

    report = memory.enrich()

    assert report.enriched == (first,)
    assert [f.what for f in report.failures] == [second]
    assert "not the id of a note that was shown" in report.failures[0].reason
    assert f"The ids are: {first}" in server.seen[-1].messages[-1]["content"]
    assert memory.get(second).context == "From a note."
    assert memory.get(first).context == "Tells about Ana's."


@pytest.mark.parametrize("trouble", [500, 429, 401, 1.5, "gone"], ids=["error", "busy", "key", "timeout", "gone"])
def test_an_outage_ends_the_run_and_loses_nothing(
    open_memory: Callable[..., Memory], server: Any, llm: Any, trouble: Any
):
    memory = open_memory()
    ids = [memory.remember(text).id for text in (CELLO, "Bruno plays chess.", "Carla paints.", "Dora sings.")]
    before = memory.notes()
    server.answers["note"] = trouble
    if trouble == "gone":
        server.stop()

    report = memory.enrich()

    assert "2 times in a row" in report.stopped
    assert not report.ok
    assert [f.what for f in report.failures] == ids[:2]
    assert not any(f.given_up for f in report.failures)
    assert report.calls == 2
    assert report.outstanding == 4
    assert report.enriched == ()
    assert memory.notes() == before
    assert [e.details["reason"] for e in events(memory, "enrich_failed")] == ["the model failed"] * 2
    memory.close()
    later = open_memory(llm=lambda messages: str(GOOD).replace("'", '"').replace("None", "null"), settings=ALONE)
    assert later.enrich().enriched == tuple(ids)


ALONE = Settings(index=EXACT, enrichment=EnrichmentSettings(neighbours=0))


def test_a_function_that_raises_is_an_outage_too(open_memory: Callable[..., Memory]):
    def broken(messages: Any) -> str:
        raise RuntimeError("no weights")

    memory = open_memory(llm=broken)
    memory.remember(CELLO)

    assert memory.enrich().failures[0].reason == "The language model failed: RuntimeError: no weights"


def test_a_crash_before_the_commit_leaves_the_note_outstanding(open_memory: Callable[..., Memory]):
    memory = open_memory()
    id = memory.remember(CELLO).id
    before = memory.get(id)

    def stop(step: str) -> None:
        if step == "enrich:before-commit":
            raise KeyboardInterrupt

    memory._parts.fail = stop
    with pytest.raises(KeyboardInterrupt):
        memory.enrich()
    memory.close()

    again = open_memory()
    assert again.get(id) == before
    assert again.enrich().enriched == (id,)


def test_a_note_that_changes_meanwhile_waits_for_the_next_run(memory: Memory, server: Any):
    def change(asked: Any) -> dict[str, Any]:
        if asked.notes[0]["text"] == CELLO:
            memory.update(asked.notes[0]["id"], "Ines plays the harp.")
        return GOOD

    server.answers["note"] = change
    id = memory.remember(CELLO).id

    report = memory.enrich()

    assert report.enriched == ()
    assert "changed while" in report.warnings[0]
    assert report.outstanding == 1
    assert memory.get(id).content == "Ines plays the harp."
    assert memory.enrich().enriched == (id,)


def test_a_note_forgotten_meanwhile_stays_forgotten(memory: Memory, server: Any):
    def forget(asked: Any) -> dict[str, Any]:
        memory.forget(asked.notes[0]["id"])
        return GOOD

    server.answers["note"] = forget
    memory.remember(CELLO)

    assert memory.enrich().enriched == ()
    assert memory.notes() == []


def test_one_run_at_a_time(memory: Memory, server: Any):
    found: list[Any] = []

    def nested(asked: Any) -> dict[str, Any]:
        with pytest.raises(JobLocked, match="Another run") as caught:
            memory.enrich()
        found.append(caught.value.hint)
        return GOOD

    server.answers["note"] = nested
    memory.remember(CELLO)

    assert len(memory.enrich().enriched) == 1
    assert found


def test_without_a_model_the_error_says_how_to_give_one():
    with Memory(None, embedder="hash") as memory, pytest.raises(ModelError, match=r"llm=") as caught:
        memory.enrich()
    assert "llm=" in caught.value.hint


# -- at once -----------------------------------------------------------------------------------------------------

INLINE = Settings(index=EXACT, enrichment=EnrichmentSettings(inline=True))


def test_inline_enrichment_is_done_when_remember_returns(open_memory: Callable[..., Memory], server: Any):
    memory = open_memory(INLINE)
    receipt = memory.remember(CELLO)

    assert receipt.warnings == ()
    assert memory.get(receipt.id).tags[-1] == "life"
    assert memory.enrich().calls == 0


@pytest.mark.parametrize(("trouble", "said"), [(500, "server failed"), ("no", "no JSON object")])
def test_an_inline_failure_is_a_warning_of_a_receipt_whose_note_is_stored(
    open_memory: Callable[..., Memory], server: Any, trouble: Any, said: str
):
    server.answers["note"] = trouble
    memory = open_memory(INLINE)

    receipt = memory.remember(CELLO)

    assert receipt.status == "stored"
    assert memory.get(receipt.id).content == CELLO
    assert said in receipt.warnings[0]
    assert receipt.warnings[0].startswith("not enriched yet")
    assert memory.stats()["enrichment"]["outstanding"] == 1


def test_a_rejected_note_is_not_enriched(open_memory: Callable[..., Memory], server: Any):
    with pytest.raises(InvalidNote):
        open_memory(INLINE).remember("")
    assert server.seen == []


# -- forgetting --------------------------------------------------------------------------------------------------


def test_forgetting_takes_back_what_was_made_of_the_note(memory: Memory, server: Any):
    server.answers["note"] = lambda asked: GOOD | {"context": f"About: {asked.notes[0]['text']}"}
    server.answers["neighbours"] = relate(
        context="Ines gives a secret concert.", tags=["concerts"], reason="the secret concert"
    )
    first, second = (memory.remember(text, user="ana", tags=["own"]).id for text in (CELLO, CONCERT))
    memory.enrich()
    assert "concerts" in memory.get(first, user="ana").tags

    receipt = memory.forget(second, user="ana")
    left = memory.get(first, user="ana")

    assert receipt.gone
    assert receipt.places["enrichment"] == 1
    assert left.context == "From a note."
    assert "own" in left.tags
    assert not {"concerts", "music"} & set(left.tags)
    assert "concert" not in str(memory.history(first, user="ana"))
    with memory._parts.core.store.read() as tx:
        assert memory._parts.core.text.search(tx, ["music"], tx.notes.all_owners(), 5) == []
    assert memory.enrich(user="ana").enriched == (first,)
    assert memory.get(first, user="ana").context == f"About: {CELLO}"


def test_no_trace_of_a_forgotten_note_is_left_in_the_file(
    open_memory: Callable[..., Memory], server: Any, tmp_path: Path
):
    server.answers["neighbours"] = relate(
        context="The zanzibarian concert.", tags=["zanzibarian"], reason="zanzibarian"
    )
    memory = open_memory()
    first, second = (memory.remember(text).id for text in (CELLO, "Ines gives a zanzibarian concert."))
    memory.enrich()
    stored = lambda: b"".join(p.read_bytes() for p in sorted((tmp_path / "memory").rglob("notes.db*"))).lower()  # noqa: E731
    assert b"zanzibarian" in stored()

    assert memory.forget(second).gone

    assert b"zanzibarian" not in stored()
    assert memory.get(first).content == CELLO


@pytest.mark.parametrize("limit", [-1, True, 1.5, "2"])
def test_a_limit_that_is_no_count_is_refused(memory: Memory, server: Any, limit: Any):
    memory.remember(CELLO)
    for verb in (memory.enrich, lambda n: memory.reflect(limit=n)):
        with pytest.raises(InvalidArgument, match="limit") as caught:
            verb(limit)
        assert caught.value.hint
    assert server.seen == []


def test_a_store_from_before_is_brought_up_to_date_and_all_of_it_is_outstanding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from agentmem.stores.sqlite import migrations, tables
    from agentmem.stores.sqlite.store import SqliteStore

    steps = migrations.MIGRATIONS
    number = next(i for i, (name, _) in enumerate(steps) if name == "enrichment")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", steps[:number])
        patch.setattr(migrations, "SCHEMA_VERSION", number)
        patch.setattr(tables, "seal", lambda database, row: None)  # there were none
        old = SqliteStore(tmp_path / "notes.db")
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        note = Note(id="n1", content=CELLO, occurred_at=moment, created_at=moment, state=MemoryState(1.0, 5.0, moment))
        with old.write() as tx:
            tx.notes.insert(note, 1, b"hash")
        old.close()

    store = SqliteStore(tmp_path / "notes.db")

    with store.read() as tx:
        assert tx.enrichment.outstanding([1], 3) == [1]
        assert tx.notes.load([1])[1] == note
    store.close()


def test_a_neighbour_that_is_forgotten_meanwhile_lives_on_in_no_other_and_stops_nothing(memory: Memory, server: Any):
    kept = memory.remember(CELLO).id
    gone = memory.remember("Ines plays the cello in the quartet of Zita.").id
    memory.enrich()
    before = memory.get(kept)

    def forget_one(asked: Any) -> dict[str, Any]:
        if gone in [note["id"] for note in asked.notes]:
            memory.forget(gone)
        return {
            "links": [],
            "evolve": [{"id": kept, "context": "Plays with Zita.", "tags": ["zita"], "reason": "both play"}],
        }

    server.answers["neighbours"] = forget_one
    new = memory.remember(CONCERT).id

    report = memory.enrich()

    assert report.enriched == (new,)
    assert "forgotten while" in report.warnings[0]
    assert memory.get(kept) == before
