"""Every number that a user may want to turn, with its unit and its reason, validated once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentmem.errors import InvalidArgument

__all__ = [
    "ConsolidationSettings",
    "EnrichmentSettings",
    "ExperienceSettings",
    "ForgettingSettings",
    "IndexSettings",
    "RecallSettings",
    "RememberSettings",
    "Settings",
]


MAX_DAYS: Final = 365_000
"""A thousand years: no calendar reaches much further back."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    if not TYPE_CHECKING:  # a type checker sees the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise _refused(type(self), error) from error


def _refused(section: type[BaseModel], error: ValidationError) -> InvalidArgument:
    """The first thing that is wrong, and what the setting means or which there are."""
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidArgument):
        return cause  # a section that was given as a mapping has said it already
    name = ".".join(str(part) for part in first["loc"])
    known = section.model_fields.get(name)
    hint = (
        f"settings are: {', '.join(section.model_fields)}."
        if known is None
        else known.description or f"{section.__name__}({name}=…)."
    )
    return InvalidArgument(f"{section.__name__}: {name}={first['input']!r:.80}: {first['msg']}.", hint=hint)


class RememberSettings(_Section):
    """What happens to a note on its way in."""

    near_duplicate: float = Field(0.95, ge=0, le=1, description="cosine from which two texts may be one note")
    similar: float = Field(0.62, ge=0, le=1, description="cosine from which two notes are linked as similar")
    max_similar: int = Field(4, ge=0, description="similarity links per new note")
    max_shared: int = Field(6, ge=0, description="shared-entity links per new note")
    rare: int = Field(16, ge=1, description="a term mentioned by at most this many notes can link them")
    neighbour_limit: int = Field(
        50_000, ge=0, description="owners with more notes than this are not scanned for similar notes on write"
    )
    batch: int = Field(512, ge=1, description="notes per transaction in remember_many")
    updates: Literal["rules", "marked", "closed"] = Field(
        "rules",
        description="how it is found out what a new note replaces: by rules of language alone; or also by a learned model, which marks what it "
        "holds for replaced; or closes it as a rule does where it is sure",
    )


class RecallSettings(_Section):
    """Weights of the parts of a score; cosine has weight 1, so each is in units of cosine."""

    candidates: int = Field(200, ge=10, description="candidates taken from full text and from vectors, each")
    text: float = Field(0.08, ge=0, description="what a point of BM25 is worth")
    foreign: float = Field(
        1.0,
        ge=0,
        description="how much more than that it is worth where a query is in scripts that the embedder is not for",
    )
    spread: float = Field(0.3, ge=0, description="share of its neighbours' activation that a note receives")
    together: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="what a use together closes of the gap between a link's weight and 1; 0: no such links",
    )
    actor: float = Field(
        0.2, ge=0, description='bonus of notes by an actor whom the query names, or means by "I" or "you"'
    )
    length: float = Field(
        0.05, ge=0, description="per natural log of the note's length, up to two sentences: shorter ones say little"
    )
    session: float = Field(0.2, ge=0, description="share of the best score in the same session")
    time: float = Field(
        0.15,
        ge=0,
        description="bonus of notes from the time that the query names, per natural log of how few they are; 0: none",
    )
    answer: float = Field(
        0.2, ge=0, description="share that a note receives of the cosine of the question asked right before it"
    )
    question: float = Field(0.1, ge=0, description="malus of notes that only ask: what answers comes after them")
    reply: float = Field(
        0.15, ge=0, description="malus of what an assistant said, unless asked for: what holds is told by its user"
    )
    asked: float = Field(
        0.5,
        ge=0,
        description="malus of what only asked for something that had been told: its reply repeats an older note",
    )
    repeated: float = Field(
        1.0, ge=0, description="malus of a note that says the same as one before it, nearly word for word"
    )
    retrievability: float = Field(0.05, ge=0, description="span between a forgotten and a fresh note")
    interference: float = Field(
        1.0,
        ge=0,
        description="how much a stronger memory holds back one that says nearly the same, per difference of strength",
    )
    importance: float = Field(0.05, ge=0, description="span between an unimportant and an important note")
    superseded: float = Field(0.25, ge=0, description="malus of notes whose validity has ended")
    successor: float = Field(
        1.0,
        ge=0,
        le=1,
        description="share of what a note that no longer holds fits the query better than the one that superseded it, for the latter",
    )
    untrusted: float = Field(0.05, ge=0, description="malus of notes from sources of low trust")
    unnamed: float = Field(
        0.45,
        ge=0,
        description="cosine from which notes enter a prompt although they mention nobody whom the question names; 0: always",
    )
    unrelated: float = Field(
        0.16,
        ge=0,
        description="cosine under which what a note and a question do not share is about two matters, so that `ask()` does not answer from it; 0: never",
    )
    reranker: str | None = Field(
        None, description="name or path of a cross-encoder that reads the first hits again; None: no second look"
    )
    rerank: int = Field(
        30, ge=1, le=1000, description="hits that a reranker reads; each costs one forward of its model"
    )
    rerank_weight: float = Field(1.0, ge=0, description="what a reranker's best verdict adds to a score")


class ForgettingSettings(_Section):
    """Which curve, and when a note may fade."""

    curve: Literal["fsrs6", "ebbinghaus", "power", "none"] = "fsrs6"
    fade_below: float = Field(0.7, ge=0, le=1, description="retrievability under which an unused note may fade")
    keep_importance: float = Field(0.7, ge=0, le=1, description="importance from which a note never fades")
    min_age_days: float = Field(30, ge=0, le=MAX_DAYS, description="younger notes never fade")
    capacity: int | None = Field(
        None,
        ge=0,
        description="active notes per owner: fade() then archives the weakest until so many are left, however strong they are",
    )


class IndexSettings(_Section):
    """The vector index behind the outbox."""

    backend: Literal["chroma", "exact"] = "chroma"
    exact_limit: int = Field(
        2_000_000,
        ge=0,
        description="scopes up to this size are compared in memory (1.6 kB a vector), larger ones asked of the index, which gets "
        "nothing to hold before the store is larger than this, unless flush() is called",
    )
    batch: int = Field(256, ge=1, description="pending changes from which the index is brought up to date")
    flush_on_close: bool = True
    durability: Literal["full", "normal"] = "full"


class ConsolidationSettings(_Section):
    """When a fact may become a weight edit (gates), and how much it must be worth (score)."""

    min_trust: float = Field(0.6, ge=0, le=1)
    min_age_hours: float = Field(0.0, ge=0, description="a note must have existed this long")
    min_unchanged_hours: float = Field(0.0, ge=0, description="… and not changed for this long")
    min_uses: int = Field(1, ge=0, description="recalls that were used")
    min_score: float = Field(0.5, description="score from which a fact is promoted")
    demote_score: float = Field(0.1, description="score under which a promoted fact is demoted: the hysteresis")
    use_window_days: float = Field(90, gt=0, le=MAX_DAYS, description="uses are counted this far back")
    max_edits: int = Field(1000, ge=0, description="capacity of the side memory")
    displace: float = Field(
        0.25, ge=0, description="by how much a fact must be worth more to take the place of an edit when full"
    )
    bulk_after: int | None = Field(
        None,
        ge=0,
        description="edits that GRACE keeps; a run moves the oldest of the rest into WISE shards. None: it keeps all",
    )
    known_probes: float = Field(0.5, ge=0, le=1, description="share of probes the base may answer by itself")
    min_reliability: float = Field(1.0, ge=0, le=1, description="the edit's own prompt, by free generation")
    min_generality: float = Field(0.5, ge=0, le=1, description="held-out wordings, by free generation")
    min_wordings: int = Field(
        0,
        ge=0,
        description="held-out wordings that are not of the edit's own template; 0: its generality may be unmeasured",
    )
    canaries: int = Field(24, ge=0, description="unrelated prompts whose answers must not change")
    older_edits: int = Field(16, ge=0, description="older edits that are asked again")
    max_new_tokens: int = Field(24, ge=1, description="tokens generated per probe")


class EnrichmentSettings(_Section):
    """What a language model is asked about notes, and how often it may be wrong."""

    inline: bool = Field(
        False, description="enrich right after remember(): a write then takes as long as two answers of the model"
    )
    neighbours: int = Field(
        5, ge=0, le=16, description="enriched notes shown beside a new one; 0: no links, no evolution"
    )
    evolve: bool = Field(True, description="neighbours may get a new context and tags")
    facts: bool = Field(True, description="a fact that stands in the note's words is taken where the rules read none")
    updates: Literal["no", "marked", "closed"] = Field(
        "marked",
        description="whether the model is asked which near older notes a note replaces, and whether what it says so of is marked or also ends",
    )
    secrets: bool = Field(False, description="notes that look like secrets are shown to the model, too")
    retries: int = Field(2, ge=0, le=10, description="times that a model is told what is wrong with its answer")
    attempts: int = Field(3, ge=1, description="runs in which a note may fail before it is given up")
    outage: int = Field(2, ge=1, description="failures of the model itself, in a row, that end a run")
    max_tokens: int = Field(512, ge=64, description="length of an answer")
    day_notes: int = Field(40, ge=1, le=200, description="notes per summary; a longer day gets several")
    alike: float = Field(0.6, ge=0, le=1, description="cosine from which two thoughts are looked at together")
    portrait_days: int = Field(30, ge=1, description="summaries that a portrait is made of, the newest")


class ExperienceSettings(_Section):
    """How the values of experiences are learnt (Zhang et al. 2023), and which experiences advise."""

    discount: float = Field(0.95, ge=0, le=1, description="worth of a reward one step later: the γ of Q-learning")
    n_steps: int = Field(
        5, ge=1, description="rewards summed before the value of the state reached stands for the rest"
    )
    learning_rate: float | None = Field(None, gt=0, le=1, description="a constant; None is the paper's: 1 / visits")
    task_weight: float = Field(
        0.5, ge=0, le=1, description="share of the task in the similarity, the observation has the rest"
    )
    neutral: float = Field(0.0, description="the value up to which an action is discouraged")
    candidates: int = Field(
        64, ge=1, description="nearest experiences whose task and observation are compared one by one"
    )


class Settings(_Section):
    """All sections; ``Settings(recall=RecallSettings(spread=0))`` changes one number and keeps the rest."""

    remember: RememberSettings = RememberSettings()
    recall: RecallSettings = RecallSettings()
    forgetting: ForgettingSettings = ForgettingSettings()
    index: IndexSettings = IndexSettings()
    consolidation: ConsolidationSettings = ConsolidationSettings()
    enrichment: EnrichmentSettings = EnrichmentSettings()
    experience: ExperienceSettings = ExperienceSettings()
