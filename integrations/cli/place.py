"""Where a command works: the memory's directory, whose notes, and how the result is printed."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from agentmem.errors import InvalidArgument, StoreError, UnknownNote
from agentmem.files.data_directory import holds_notes
from agentmem.notes.address import is_url, shown

if TYPE_CHECKING:
    from agentmem.memory import Memory
    from agentmem.notes.note import Note
    from agentmem.notes.protocols import LanguageModel

__all__ = ["COMMON", "Local", "Place", "at_place", "find", "place_of"]

DEFAULT_PATH = ".agentmem"
_PANEL = "Which memory"
_FULL_ID = 36

PathOption = Annotated[
    str | None,
    typer.Option(
        "--path",
        "-p",
        metavar="PLACE",
        help=f"Directory of the memory, or postgresql://… [$AGENTMEM_PATH, else ./{DEFAULT_PATH}].",
        rich_help_panel=_PANEL,
    ),
]
UserOption = Annotated[str | None, typer.Option("--user", "-u", help="Whose notes.", rich_help_panel=_PANEL)]
AgentOption = Annotated[str | None, typer.Option("--agent", help="Which agent's notes.", rich_help_panel=_PANEL)]
SessionOption = Annotated[
    str | None, typer.Option("--session", "-s", help="Of one conversation.", rich_help_panel=_PANEL)
]
EmbedderOption = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        help='Embedding model: a path, "minilm+int8" or "hash" [$AGENTMEM_EMBEDDER].',
        rich_help_panel=_PANEL,
    ),
]
PacksOption = Annotated[
    str | None,
    typer.Option(
        "--packs",
        metavar="PLACE",
        help="Where packs of weight edits are, if not with the notes: a folder, or s3://… [$AGENTMEM_PACKS].",
        rich_help_panel=_PANEL,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.", rich_help_panel=_PANEL)]

COMMON: dict[str, tuple[Any, Any]] = {
    "path": (PathOption, None),
    "user": (UserOption, None),
    "agent": (AgentOption, None),
    "session": (SessionOption, None),
    "embedder": (EmbedderOption, None),
    "packs": (PacksOption, None),
    "json": (JsonOption, False),
}
"""The options that every command takes, before or after its name: annotation and default."""

_MODEL_PANEL = "Which model"
MODEL: dict[str, tuple[Any, Any]] = {
    "model": (
        Annotated[
            str,
            typer.Option(
                "--model", "-m", envvar="AGENTMEM_MODEL", help='Local model: a name or path; "small" comes with agentmem.',
                rich_help_panel=_MODEL_PANEL,
            ),
        ],
        "small",
    ),
    "device": (
        Annotated[str | None, typer.Option("--device", help="cpu, cuda, mps …; by default what the machine has.", rich_help_panel=_MODEL_PANEL)],
        None,
    ),
    "dtype": (
        Annotated[
            str | None,
            typer.Option("--dtype", help="auto, float32, bfloat16 …; by default as saved, float32 on the CPU.", rich_help_panel=_MODEL_PANEL),
        ],
        None,
    ),
    "plain": (
        Annotated[
            bool | None,
            typer.Option(
                "--plain/--no-plain", help="User: … and Assistant: … instead of the chat template; by default when there is none.",
                rich_help_panel=_MODEL_PANEL,
            ),
        ],
        None,
    ),
}  # fmt: skip
"""The options of every command that needs a local model: annotation and default."""


@dataclass(frozen=True, slots=True)
class Local:
    """The local model of one call."""

    model: str = "small"
    device: str | None = None
    dtype: str | None = None
    plain: bool | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The common options of one call.

    Args:
        path: the memory's directory, or the address of its database; packs: where its packs of weight edits are, if elsewhere.
    """

    path: Path | str
    user: str | None = None
    agent: str | None = None
    session: str | None = None
    embedder: str | None = None
    json: bool = False
    packs: str | None = None

    def exists(self) -> bool:
        """Whether there is a memory."""
        if isinstance(self.path, Path):
            return holds_notes(self.path)
        from agentmem.memory import is_begun

        return is_begun(self.path)

    @property
    def shown(self) -> str:
        """Where it is, for a person: without a password."""
        return shown(self.path)

    @contextmanager
    def memory(
        self, *, make: bool = False, trying: bool = False, reading: bool = False, local: Local | None = None,
        llm: LanguageModel | None = None,
    ) -> Iterator[Memory]:  # fmt: skip
        """The memory of this place, bound to its scope; made if missing only when ``make`` says so, and with ``trying`` nowhere.

        ``reading``: nothing of it is written.
        """
        exists = make or self.exists()
        if not (trying or exists):
            raise StoreError(
                f"There is no memory at {self.shown}.",
                hint='agentmem remember "…" begins one; --path names another place.',
            )
        from agentmem.memory import Memory
        from agentmem.notes.note import Scope
        from agentmem.settings import IndexSettings, Settings

        # A single command does not pay for the vector index: what it has not seen yet is compared exactly.
        settings = Settings(index=IndexSettings(flush_on_close=False))
        scope = Scope(user=self.user, agent=self.agent, session=self.session)
        path = self.path if exists else None
        model = {} if local is None else asdict(local)
        packs = self.packs if exists else None  # what is tried in memory has none
        with Memory(
            path,
            scope=scope,
            embedder=self.embedder,
            llm=llm,
            settings=settings,
            read_only=reading,
            packs=packs,
            **model,
        ) as memory:
            yield memory


def find(memory: Memory, id: str) -> Note:
    """The note with this id, or the only one whose id ends like this: tables show the last characters."""
    if len(id) >= _FULL_ID:
        return memory.get(id)
    found = [note for note in memory.notes(where={"id": {"$contains": id}}) if note.id.endswith(id)] if id else []
    if not found:
        raise UnknownNote(f"No note ends in {id!r}.", hint="agentmem notes lists what there is.")
    if len(found) > 1:
        raise InvalidArgument(
            f"{len(found)} notes end in {id!r}.", hint="give more of the id, e.g. its last 12 characters."
        )
    return found[0]


def place_of(options: Mapping[str, Any]) -> Place:
    """The place that the common options name, or the environment where they do not."""
    path = options["path"] or os.environ.get("AGENTMEM_PATH") or DEFAULT_PATH
    return Place(
        path=path if is_url(path) else Path(os.path.expanduser(path)),  # noqa: PTH111 - as Memory does
        user=options["user"],
        agent=options["agent"],
        session=options["session"],
        embedder=options["embedder"] or os.environ.get("AGENTMEM_EMBEDDER") or None,
        json=bool(options["json"]),
        packs=options["packs"] or os.environ.get("AGENTMEM_PACKS") or None,
    )


def at_place(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first parameter is a :class:`Place`, with the common options in its signature.

    A parameter ``local`` of type :class:`Local` stands for the options of a model.
    """
    hints = get_type_hints(command, include_extras=True)
    own = list(inspect.signature(command).parameters.values())[1:]
    modelled = any(p.name == "local" for p in own)
    extra = MODEL if modelled else {}

    @functools.wraps(command)
    def run(ctx: typer.Context, **given: Any) -> None:
        asked = {name: given.pop(name) for name in COMMON}
        if modelled:
            given["local"] = Local(**{name: given.pop(name) for name in MODEL})
        outer = ctx.find_root().params

        def chosen(name: str) -> Any:
            return asked[name] if asked[name] not in (None, False) else outer.get(name)

        place = place_of({name: chosen(name) for name in COMMON})
        ctx.meta["json"] = place.json
        command(place, **given)

    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in (extra | COMMON).items()
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    mine = [p.replace(annotation=hints[p.name]) for p in own if p.name != "local"]
    parameters = [context, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in mine), *shared]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run
