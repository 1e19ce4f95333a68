"""The tables. Appended to, never edited: what was released stays as it was."""

from __future__ import annotations

from typing import Final

from agentmem.stores.sqlite.seals import (
    FIRST_SEAL,
    FIRST_SEAL_OF_VERSION,
    SEAL_OF_EDIT,
    SEAL_OF_ENRICHMENT,
    SEAL_OF_ENTRY,
    SEAL_OF_EXPERIENCE,
    SEAL_OF_FACT,
    SEAL_OF_KEY,
    SEAL_OF_LINK,
    SEAL_OF_OWNER,
    SEAL_OF_STEP,
    SEAL_OF_TOMBSTONE,
    SEAL_OF_VERSION,
    SECOND_SEAL,
)

__all__ = ["MIGRATIONS"]

# In `note`, the columns that ranking reads come first and the long texts last: SQLite then stops decoding early and
# leaves overflow pages alone. `length` is there for the same reason.
_NOTES: Final = (
    "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE owner (
        id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT, agent TEXT, CHECK (user IS NULL OR agent IS NULL)
    ) STRICT""",
    "CREATE UNIQUE INDEX owner_user ON owner (user) WHERE user IS NOT NULL",
    "CREATE UNIQUE INDEX owner_agent ON owner (agent) WHERE agent IS NOT NULL",
    "INSERT INTO owner (id) VALUES (1)",
    """CREATE TABLE note (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        owner INTEGER NOT NULL REFERENCES owner (id),
        actor TEXT, agent TEXT, session TEXT, thread TEXT, position INTEGER,
        occurred_at INTEGER NOT NULL, created_at INTEGER NOT NULL, valid_from INTEGER, valid_to INTEGER,
        archived_at INTEGER, length INTEGER NOT NULL, importance REAL NOT NULL, trust REAL NOT NULL,
        stability REAL NOT NULL, difficulty REAL NOT NULL, last_review INTEGER NOT NULL, recalls INTEGER NOT NULL,
        uid TEXT NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL, hash BLOB NOT NULL,
        changed_at INTEGER NOT NULL, reason TEXT NOT NULL, source TEXT,
        tags TEXT NOT NULL, keywords TEXT NOT NULL, metadata TEXT NOT NULL, context TEXT NOT NULL, content TEXT NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX note_uid ON note (uid)",
    "CREATE INDEX note_created ON note (owner, created_at)",
    "CREATE INDEX note_occurred ON note (owner, occurred_at)",
    "CREATE INDEX note_hash ON note (owner, hash)",
    "CREATE INDEX note_actor ON note (owner, actor) WHERE actor IS NOT NULL",
    "CREATE INDEX note_thread ON note (owner, thread, position) WHERE thread IS NOT NULL",
    """CREATE TABLE note_version (
        row INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE, version INTEGER NOT NULL,
        changed_at INTEGER NOT NULL, reason TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (row, version)
    ) STRICT""",
    """CREATE TABLE fact (
        row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, owner INTEGER NOT NULL,
        subject_key TEXT NOT NULL, relation_key TEXT NOT NULL, subject TEXT NOT NULL, relation TEXT NOT NULL,
        object TEXT NOT NULL, functional INTEGER NOT NULL, question TEXT, paraphrases TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX fact_key ON fact (owner, subject_key, relation_key)",
    """CREATE TABLE term (
        owner INTEGER NOT NULL, term TEXT NOT NULL, row INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE,
        PRIMARY KEY (owner, term, row)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX term_row ON term (row)",
    """CREATE TABLE tombstone (
        owner INTEGER NOT NULL, mac BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (owner, mac)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE idempotency (
        owner INTEGER NOT NULL, key TEXT NOT NULL, row INTEGER, receipt TEXT NOT NULL, PRIMARY KEY (owner, key)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX idempotency_row ON idempotency (row) WHERE row IS NOT NULL",
)

# The scope is a token inside the full-text index, so that one owner's search reads one owner's postings. The log
# keeps one line per vector: the newest change; triggers write it, so that no way of deleting goes unnoticed. (They say
# DELETE and INSERT, because the conflict clause of the outer statement would overrule an INSERT OR REPLACE.)
_PROJECTIONS: Final = (
    """CREATE VIRTUAL TABLE fts USING fts5(
        content, context, scope, tokenize = 'porter unicode61 remove_diacritics 2'
    )""",
    """CREATE TABLE vector (
        row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, owner INTEGER NOT NULL, data BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX vector_owner ON vector (owner)",
    """CREATE TABLE vector_change (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, row INTEGER NOT NULL UNIQUE, owner INTEGER NOT NULL,
        removed INTEGER NOT NULL
    ) STRICT""",
    """CREATE TRIGGER vector_added AFTER INSERT ON vector BEGIN
        DELETE FROM vector_change WHERE row = new.row;
        INSERT INTO vector_change (row, owner, removed) VALUES (new.row, new.owner, 0);
    END""",
    """CREATE TRIGGER vector_changed AFTER UPDATE ON vector BEGIN
        DELETE FROM vector_change WHERE row = new.row;
        INSERT INTO vector_change (row, owner, removed) VALUES (new.row, new.owner, 0);
    END""",
    """CREATE TRIGGER vector_removed AFTER DELETE ON vector BEGIN
        DELETE FROM vector_change WHERE row = old.row;
        INSERT INTO vector_change (row, owner, removed) VALUES (old.row, old.owner, 1);
    END""",
    """CREATE TABLE link (
        source INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE,
        target INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE,
        kind TEXT NOT NULL, weight REAL NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (source, target, kind)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX link_target ON link (target, kind)",
    """CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, op TEXT NOT NULL CHECK (op IN ('upsert', 'remove')),
        owner INTEGER NOT NULL, row INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE use (
        row INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE, day INTEGER NOT NULL, owner INTEGER NOT NULL,
        events INTEGER NOT NULL, tokens INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (row, day)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX use_owner ON use (owner, day)",
)

_BOOKS: Final = (
    """CREATE TABLE edit (
        id TEXT NOT NULL PRIMARY KEY, note_id TEXT NOT NULL, owner INTEGER NOT NULL, method TEXT NOT NULL,
        state TEXT NOT NULL, note_version INTEGER NOT NULL, request TEXT NOT NULL, reason TEXT NOT NULL,
        changed_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX edit_note ON edit (note_id)",
    "CREATE INDEX edit_owner ON edit (owner, state)",
    """CREATE TABLE ledger (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, event TEXT NOT NULL, note_id TEXT, edit_id TEXT,
        details TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX ledger_note ON ledger (note_id) WHERE note_id IS NOT NULL",
    """CREATE TABLE pack (
        method TEXT NOT NULL, version INTEGER NOT NULL, sha TEXT, at INTEGER NOT NULL, PRIMARY KEY (method, version)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE lease (name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) STRICT",
)

# The queue of enrichment is derived: what has no record for the words it has now is outstanding, so nothing is queued when
# a note is written, and nothing is lost when a run dies.
_ENRICHMENT: Final = (
    """CREATE TABLE enrichment (
        row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, hash BLOB NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('done', 'failed', 'kept')), attempts INTEGER NOT NULL, at INTEGER NOT NULL,
        context TEXT, tags TEXT NOT NULL, keywords TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE enrichment_source (
        row INTEGER NOT NULL REFERENCES enrichment (row) ON DELETE CASCADE,
        source INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE, PRIMARY KEY (row, source)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX enrichment_source_of ON enrichment_source (source)",
)

# `state` and `action` are keyed digests of the note's words: the same words are found again, and a step that outlives the note
# it led to does not tell what that said.
_EXPERIENCES: Final = (
    """CREATE TABLE experience (
        row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, owner INTEGER NOT NULL, state BLOB NOT NULL,
        action BLOB NOT NULL, q REAL NOT NULL, visits INTEGER NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX experience_key ON experience (state, action, owner)",
    "CREATE INDEX experience_owner ON experience (owner)",
    """CREATE TABLE experience_step (
        owner INTEGER NOT NULL, episode BLOB NOT NULL, step INTEGER NOT NULL,
        row INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE, reward REAL NOT NULL, next BLOB NOT NULL,
        PRIMARY KEY (owner, episode, step)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX experience_step_row ON experience_step (row)",
)

# The vectors of the embedder to come. New words make a vector stale, whoever writes them: so a trigger takes it out.
_REEMBEDDING: Final = (
    """CREATE TABLE vector_next (
        row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, owner INTEGER NOT NULL, data BLOB NOT NULL
    ) STRICT""",
    """CREATE TRIGGER vector_next_stale AFTER UPDATE OF content ON note WHEN new.content IS NOT old.content BEGIN
        DELETE FROM vector_next WHERE row = new.id;
    END""",
)

# Fading reads the active notes by their last review and counts them; links that fade remember their last use.
_FADING: Final = (
    "CREATE INDEX note_resting ON note (owner, last_review) WHERE archived_at IS NULL",
    "ALTER TABLE link ADD COLUMN used_at INTEGER",
)

# The passages of a long note, all in one blob. They follow the vector of their note, whoever changes or removes it; and a change of
# theirs is one of the note's vectors in the log.
_PASSAGES: Final = (
    """CREATE TABLE passage (
        row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, owner INTEGER NOT NULL, data BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX passage_owner ON passage (owner)",
    "CREATE TRIGGER passage_stale AFTER UPDATE ON vector BEGIN DELETE FROM passage WHERE row = new.row; END",
    "CREATE TRIGGER passage_removed AFTER DELETE ON vector BEGIN DELETE FROM passage WHERE row = old.row; END",
    """CREATE TRIGGER passage_added AFTER INSERT ON passage BEGIN
        DELETE FROM vector_change WHERE row = new.row;
        INSERT INTO vector_change (row, owner, removed) VALUES (new.row, new.owner, 0);
    END""",
)

# Links that the words of notes make can be made again; those that a person, history, use or a model made cannot. Until now only their
# reasons told them apart.
_DERIVED_LINKS: Final = (
    "ALTER TABLE link ADD COLUMN derived INTEGER NOT NULL DEFAULT 0",
    """UPDATE link SET derived = 1 WHERE (kind = 'next' AND reason = 'said next in the same thread')
        OR (kind = 'similar' AND reason LIKE 'similar in meaning (%)') OR (kind = 'shares' AND reason LIKE 'both mention %')""",
)

# Digests of what was written, so that damage inside a text is found; those of notes that are here already are taken as they are now.
_SEALS: Final = (
    """CREATE TABLE seal (
        row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, digest BLOB NOT NULL
    ) STRICT""",
    "ALTER TABLE note_version ADD COLUMN seal BLOB",
    f"INSERT INTO seal (row, digest) SELECT n.id, {FIRST_SEAL} FROM note n LEFT JOIN fact f ON f.row = n.id",  # noqa: S608 - constants
    f"UPDATE note_version AS v SET seal = {FIRST_SEAL_OF_VERSION}",  # noqa: S608 - constants
)

# What a forgetting has still to do after its commit: no word of what was forgotten, only where to go on. `scrubbed` is changed to let every
# connection know that its pages are out of date.
_ERASURE: Final = (
    "CREATE TABLE erasing (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, place TEXT NOT NULL) STRICT",
    "CREATE TABLE scrubbed (id INTEGER PRIMARY KEY CHECK (id = 1), times INTEGER NOT NULL) STRICT",
    "INSERT INTO scrubbed (id, times) VALUES (1, 0)",
)

# The words of a note as keyed digests, in their order; what stands beside it in a thread is not among them. The index is in memory and
# follows the log, as that of the vectors does. The words of notes from before are written when the memory is opened; a new store has none.
_WORDS: Final = (
    """CREATE TABLE words (
        row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, owner INTEGER NOT NULL, content BLOB NOT NULL,
        context BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX words_owner ON words (owner)",
    """CREATE TABLE words_change (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, row INTEGER NOT NULL UNIQUE, owner INTEGER NOT NULL,
        removed INTEGER NOT NULL
    ) STRICT""",
    """CREATE TRIGGER words_added AFTER INSERT ON words BEGIN
        DELETE FROM words_change WHERE row = new.row;
        INSERT INTO words_change (row, owner, removed) VALUES (new.row, new.owner, 0);
    END""",
    """CREATE TRIGGER words_changed AFTER UPDATE ON words BEGIN
        DELETE FROM words_change WHERE row = new.row;
        INSERT INTO words_change (row, owner, removed) VALUES (new.row, new.owner, 0);
    END""",
    """CREATE TRIGGER words_removed AFTER DELETE ON words BEGIN
        DELETE FROM words_change WHERE row = old.row;
        INSERT INTO words_change (row, owner, removed) VALUES (old.row, old.owner, 1);
    END""",
    "DROP TABLE fts",
    "INSERT INTO meta (key, value) SELECT 'words', 'porter 1' WHERE NOT EXISTS (SELECT 1 FROM note)",
)

# Whose a line is, so that it stays known when its note is gone: an id that was somebody's is nobody else's. Of notes that had gone before it
# cannot be told any more.
_LEDGER_OWNERS: Final = (
    "ALTER TABLE ledger ADD COLUMN owner INTEGER",
    "UPDATE ledger SET owner = (SELECT n.owner FROM note n WHERE n.uid = ledger.note_id) WHERE note_id IS NOT NULL",
    "CREATE INDEX ledger_edit ON ledger (edit_id) WHERE edit_id IS NOT NULL",
)

# Owners are found by a keyed digest of their name, so that the name itself can go with the last note; of owners from before of whom nothing is left
# it goes here. And everything is sealed that is written nowhere else. A note or version that was damaged before is not made whole by that.
_ALIASES: Final = (
    ("experience", "e", SEAL_OF_EXPERIENCE), ("experience_step", "t", SEAL_OF_STEP), ("idempotency", "i", SEAL_OF_KEY),
    ("tombstone", "b", SEAL_OF_TOMBSTONE), ("edit", "d", SEAL_OF_EDIT), ("ledger", "g", SEAL_OF_ENTRY), ("enrichment", "m", SEAL_OF_ENRICHMENT),
)  # fmt: skip
_OF_SEALED_NOTE: Final = "FROM note n LEFT JOIN fact f ON f.row = n.id WHERE n.id = s.row"
_SEALED_ROWS: Final = (
    "ALTER TABLE owner ADD COLUMN mac BLOB",
    "ALTER TABLE owner ADD COLUMN seal BLOB",
    "UPDATE owner SET mac = owner_mark((SELECT value FROM meta WHERE key = 'tombstone_key'), user, agent) WHERE user IS NOT NULL OR agent IS NOT NULL",
    "CREATE UNIQUE INDEX owner_mac ON owner (mac) WHERE mac IS NOT NULL",
    "DROP INDEX owner_user",
    "DROP INDEX owner_agent",
    "UPDATE owner SET user = NULL, agent = NULL WHERE id NOT IN (SELECT owner FROM note) AND id NOT IN (SELECT owner FROM edit)",
    "UPDATE idempotency SET key = refused_key((SELECT value FROM meta WHERE key = 'tombstone_key'), owner, key) WHERE row IS NULL",
    "INSERT INTO erasing (at, place) SELECT 0, 'file' WHERE EXISTS (SELECT 1 FROM owner WHERE mac IS NOT NULL)",
    f"UPDATE owner AS o SET seal = {SEAL_OF_OWNER}",  # noqa: S608 - constants
    "INSERT INTO meta (key, value) SELECT 'tombstone_key_seal', hex(seal_of(CAST(value AS BLOB))) FROM meta WHERE key = 'tombstone_key'",
    "ALTER TABLE seal ADD COLUMN whose BLOB",
    f"""UPDATE seal AS s SET
        digest = CASE WHEN digest IS (SELECT {FIRST_SEAL} {_OF_SEALED_NOTE}) THEN (SELECT {SECOND_SEAL} {_OF_SEALED_NOTE}) ELSE digest END,
        whose = (SELECT o.seal FROM note n JOIN owner o ON o.id = n.owner WHERE n.id = s.row)""",  # noqa: S608 - constants
    f"UPDATE note_version AS v SET seal = {SEAL_OF_VERSION} WHERE seal IS {FIRST_SEAL_OF_VERSION}",  # noqa: S608 - constants
    "ALTER TABLE link ADD COLUMN seal BLOB",
    f"UPDATE link AS l SET seal = {SEAL_OF_LINK} WHERE NOT derived",  # noqa: S608 - constants
    *(f"ALTER TABLE {table} ADD COLUMN seal BLOB" for table, _, _ in _ALIASES),
    *(f"UPDATE {table} AS {alias} SET seal = {made}" for table, alias, made in _ALIASES),  # noqa: S608 - constants
)

# A record is a note, and beside it its value under a namespace and a key. A namespace is written with a dot behind each of its labels, so that
# what lies below it is a range of texts. `whose` says for which agent and session of the owner it was put.
_RECORDS: Final = (
    """CREATE TABLE record (
        row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, owner INTEGER NOT NULL, whose TEXT NOT NULL,
        namespace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, fields TEXT NOT NULL, ttl INTEGER, expires_at INTEGER,
        created_at INTEGER NOT NULL, put_at INTEGER NOT NULL, seal BLOB
    ) STRICT""",
    "CREATE UNIQUE INDEX record_key ON record (owner, whose, namespace, key)",
    "CREATE INDEX record_expiry ON record (owner, expires_at) WHERE expires_at IS NOT NULL",
)

# What is searched of experiences lies under the number of their owner below zero, apart from what the owner was told. An index that was made
# before has both in one, and is made anew.
_LIVED: Final = "WHERE row IN (SELECT row FROM experience)"
_SPACES: Final = (
    *(f"UPDATE {table} SET owner = -owner {_LIVED}" for table in ("words", "vector", "vector_next", "outbox")),  # noqa: S608 - constants
    """UPDATE meta SET value = json_set(value, '$.damaged', 'experiences lie among what was told')
        WHERE key = 'index_state' AND json_extract(value, '$.generation') > 0 AND EXISTS (SELECT 1 FROM experience)""",
)

# Which spans of time notes tell of. Those of notes from before are read when the memory is opened; a new store has none.
_TELLING: Final = (
    """CREATE TABLE telling (
        row INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE, start INTEGER NOT NULL, until INTEGER NOT NULL,
        owner INTEGER NOT NULL, PRIMARY KEY (row, start, until)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX telling_start ON telling (owner, start, until)",
    "INSERT INTO meta (key, value) SELECT 'times', '1' WHERE NOT EXISTS (SELECT 1 FROM note)",
)

# A note may tell several facts, each of which ends by itself. The seal of a note with one stays as it was, and so does the fact under it.
_SEVERAL_FACTS: Final = (
    "ALTER TABLE fact RENAME TO only_fact",
    "DROP INDEX fact_key",
    """CREATE TABLE fact (
        row INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE, place INTEGER NOT NULL, owner INTEGER NOT NULL,
        subject_key TEXT NOT NULL, relation_key TEXT NOT NULL, subject TEXT NOT NULL, relation TEXT NOT NULL,
        object TEXT NOT NULL, functional INTEGER NOT NULL, question TEXT, paraphrases TEXT NOT NULL,
        valid_from INTEGER, valid_to INTEGER, ended_by TEXT, seal BLOB, PRIMARY KEY (row, place)
    ) STRICT, WITHOUT ROWID""",
    """INSERT INTO fact (row, place, owner, subject_key, relation_key, subject, relation, object, functional, question, paraphrases)
        SELECT row, 0, owner, subject_key, relation_key, subject, relation, object, functional, question, paraphrases FROM only_fact""",
    "DROP TABLE only_fact",
    "CREATE INDEX fact_key ON fact (owner, subject_key, relation_key)",
    f"UPDATE fact AS f SET seal = {SEAL_OF_FACT}",  # noqa: S608 - constants
)

# What was asked and answered from notes, under each of them. All rows of one question of one owner are found, and go, together.
_EVIDENCE: Final = (
    """CREATE TABLE evidence (
        row INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE, owner INTEGER NOT NULL, mark BLOB NOT NULL, agent TEXT, session TEXT,
        question TEXT NOT NULL, answer TEXT NOT NULL, notes INTEGER NOT NULL, times INTEGER NOT NULL, at INTEGER NOT NULL, seal BLOB,
        PRIMARY KEY (row, owner, mark)
    ) STRICT""",
    "CREATE INDEX evidence_asked ON evidence (owner, mark)",
)

# How likely notes only ask. What was read of the notes of a store from before is read when the memory is opened; a new store has none.
_INTENT: Final = (
    """CREATE TABLE intent (
        row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, likely INTEGER NOT NULL, owner INTEGER NOT NULL
    ) STRICT""",
    "DELETE FROM meta WHERE key = 'times'",
    "INSERT INTO meta (key, value) SELECT 'readings', '1' WHERE NOT EXISTS (SELECT 1 FROM note)",
)

MIGRATIONS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("first schema", _NOTES + _PROJECTIONS + _BOOKS),
    ("enrichment", _ENRICHMENT),
    ("experiences", _EXPERIENCES),
    ("re-embedding", _REEMBEDDING),
    ("fading by index, links that fade", _FADING),
    ("passages", _PASSAGES),
    ("links that words make", _DERIVED_LINKS),
    ("seals", _SEALS),
    ("erasure", _ERASURE),
    ("words instead of a full-text index of all owners", _WORDS),
    ("whose the lines of the ledger are", _LEDGER_OWNERS),
    ("seals of every row that is nowhere else, names that can go", _SEALED_ROWS),
    ("records under keys", _RECORDS),
    ("experiences apart from what was told", _SPACES),
    ("times that notes tell of", _TELLING),
    ("several facts in a note", _SEVERAL_FACTS),
    ("whether notes only ask", _INTENT),
    ("evidence of use", _EVIDENCE),
)
"""(what for, statements) each; the n-th brings a store to version n."""
