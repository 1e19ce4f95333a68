"""Every number that a user has reasons of his own to turn, with its unit and its reason, validated once.

What only a measurement can decide is no setting: it stands beside the code that uses it, and the weights of recall in
:class:`~agentmem.recall.weights.RankingWeights`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentmem.errors import InvalidArgument

__all__ = [
    "MOVED",
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

_WEIGHTS = """text foreign spread together actor length session time answer question reply asked repeated retrievability interference
superseded successor untrusted rerank_weight unnamed unrelated"""
MOVED: Final[dict[str, dict[str, str]]] = {
    "RecallSettings": dict.fromkeys(
        _WEIGHTS.split(),
        "it is a weight that a measurement decides: Memory(…, ranking=RankingWeights({name}=…)), from agentmem.recall.weights.",
    ),
    "ConsolidationSettings": {
        "min_score": "PROMOTE_FROM in agentmem.consolidation.policy; who weighs otherwise gives memory.policy one of his own.",
        "demote_score": "DEMOTE_BELOW in agentmem.consolidation.policy; who weighs otherwise gives memory.policy one of his own.",
        "known_probes": "KNOWN in agentmem.consolidation.policy; who weighs otherwise gives memory.policy one of his own.",
        "displace": "DISPLACE in agentmem.consolidation.proposal.",
        "use_window_days": "USE_WINDOW in agentmem.consolidation.candidates.",
        "max_new_tokens": "PROBE_TOKENS in agentmem.consolidation.job.",
    },
    "EnrichmentSettings": {
        "retries": "RETRIES in agentmem.enrich.model.dialogue.",
        "outage": "OUTAGE in agentmem.enrich.model.dialogue.",
        "attempts": "ATTEMPTS in agentmem.records.enrichment.",
        "alike": "ALIKE in agentmem.enrich.reflect.",
        "day_notes": "DAY_NOTES in agentmem.enrich.reflect.",
        "portrait_days": "PORTRAIT_DAYS in agentmem.enrich.reflect.",
    },
    "ExperienceSettings": {
        "candidates": "CANDIDATES in agentmem.experience.memory.",
        "task_weight": "TASK_WEIGHT in agentmem.experience.memory.",
        "neutral": "NEUTRAL in agentmem.experience.values.",
    },
}
"""What used to be a setting, and where it stands now, mostly as a constant."""


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
    if moved := MOVED.get(section.__name__, {}).get(name):
        said = "is no setting any more: no operator could tell what it should be."
        return InvalidArgument(f"{section.__name__}: {name} {said}", hint=moved.replace("{name}", name))
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
    evidence: bool = Field(
        True,
        description="questions that were answered from notes are kept beside these, with their answers: in whose words a fact is asked for is "
        "what it can be learnt by; what is kept already goes with its notes",
    )
    updates: Literal["rules", "marked", "closed"] = Field(
        "rules",
        description="how it is found out what a new note replaces: by rules of language alone; or also by a learned model, which marks what it "
        "holds for replaced; or closes it as a rule does where it is sure",
    )


class RecallSettings(_Section):
    """What of recall its user decides: time against depth, what an importance that he gave is worth, and whether a model looks twice.

    What the other parts of a score are worth is measured: :class:`~agentmem.recall.weights.RankingWeights`.
    """

    candidates: int = Field(
        200, ge=10, description="candidates taken from full text and from vectors, each: more are slower, and lose less"
    )
    importance: float = Field(
        0.05, ge=0, description="span between an unimportant and an important note, which only who says so can weigh"
    )
    reranker: str | None = Field(
        None, description="name or path of a cross-encoder that reads the first hits again; None: no second look"
    )
    rerank: int = Field(
        30, ge=1, le=1000, description="hits that a reranker reads; each costs one forward of its model"
    )


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
        "nothing to hold before the store is larger than this, unless flush() is called; a process that meets many scopes keeps about "
        "as many vectors of all of them together (at least 100,000), and lets go of those that were not asked for longest",
    )
    batch: int = Field(256, ge=1, description="pending changes from which the index is brought up to date")
    flush_on_close: bool = True
    durability: Literal["full", "normal"] = "full"


class ConsolidationSettings(_Section):
    """When a fact may become a weight edit, and what it must prove."""

    min_trust: float = Field(0.6, ge=0, le=1)
    min_age_hours: float = Field(0.0, ge=0, description="a note must have existed this long")
    min_unchanged_hours: float = Field(0.0, ge=0, description="… and not changed for this long")
    min_uses: int = Field(1, ge=0, description="recalls that were used")
    max_edits: int = Field(1000, ge=0, description="capacity of the side memory")
    gate: Literal["auto", "key", "memory"] = Field(
        "auto",
        description="which edit answers in ask() and ChatAgent: one whose key in the model is near; or one that recall proposes, where a small "
        "reader finds that the question asks for what the edit was written with, in whatever words. auto: the latter where the reader's base "
        "is installed (agentmem-toolkit[offline])",
    )
    bulk_after: int | None = Field(
        None,
        ge=0,
        description="edits that GRACE keeps; a run moves the oldest of the rest into WISE shards. None: it keeps all",
    )
    min_reliability: float = Field(1.0, ge=0, le=1, description="the edit's own prompt, by free generation")
    min_generality: float = Field(0.5, ge=0, le=1, description="held-out wordings, by free generation")
    min_wordings: int = Field(
        0,
        ge=0,
        description="held-out wordings that are not of the edit's own template; 0: its generality may be unmeasured",
    )
    canaries: int = Field(24, ge=0, description="unrelated prompts whose answers must not change")
    older_edits: int = Field(16, ge=0, description="older edits that are asked again")


class EnrichmentSettings(_Section):
    """What a language model is asked about notes."""

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
    max_tokens: int = Field(512, ge=64, description="length of an answer")


class ExperienceSettings(_Section):
    """How the values of experiences are learnt (Zhang et al. 2023), and which experiences advise."""

    discount: float = Field(0.95, ge=0, le=1, description="worth of a reward one step later: the γ of Q-learning")
    n_steps: int = Field(
        5, ge=1, description="rewards summed before the value of the state reached stands for the rest"
    )
    learning_rate: float | None = Field(None, gt=0, le=1, description="a constant; None is the paper's: 1 / visits")


class Settings(_Section):
    """All sections; ``Settings(recall=RecallSettings(importance=0))`` changes one number and keeps the rest."""

    remember: RememberSettings = RememberSettings()
    recall: RecallSettings = RecallSettings()
    forgetting: ForgettingSettings = ForgettingSettings()
    index: IndexSettings = IndexSettings()
    consolidation: ConsolidationSettings = ConsolidationSettings()
    enrichment: EnrichmentSettings = EnrichmentSettings()
    experience: ExperienceSettings = ExperienceSettings()
