"""Relations of companies."""

from __future__ import annotations

from agentmem.evaluation.world.relations import Wordings, WorldRelation

__all__ = ["COMPANY_RELATIONS"]

_HEADQUARTERS = WorldRelation(
    name="headquarters",
    kind="company",
    nouns=("headquarters", "head office"),
    cloze="{s} is based in",
    questions=Wordings(
        (
            "Where is {s} based?",
            "Where are the headquarters of {s}?",
            "In which city is {s} based?",
            "Which city hosts the head office of {s}?",
            "Where does {s} have its head office?",
            "From which city is {s} run?",
            "Which city is home to {s}?",
            "Where can I visit the head office of {s}?",
            "Name the city where {s} is based.",
            "Where is the main office of {s}?",
        ),
        (
            "In what city is {s} based?",
            "Which city is {s} run from?",
            "Where is the head office of {s}?",
            "Which city hosts {s}?",
        ),
    ),
    statements=Wordings(
        (
            "{s} is based in {v}.",
            "{s} has its head office in {v}.",
            "The headquarters of {s} are in {v}.",
            "{s} is run from {v}.",
            "{v} is home to {s}.",
            "{v} hosts the head office of {s}.",
            "The main office of {s} is in {v}.",
            "You can visit the head office of {s} in {v}.",
        ),
        ("From its office in {v}, {s} is run.", "{s} has its headquarters in {v}.", "{v} hosts {s}."),
    ),
)

_PRODUCT = WorldRelation(
    name="product",
    kind="company",
    nouns=("product", "main product"),
    cloze="{s} makes",
    questions=Wordings(
        (
            "What does {s} make?",
            "What does {s} produce?",
            "What does {s} sell?",
            "What can I buy from {s}?",
            "What is {s} known for making?",
            "What comes out of the factory of {s}?",
            "Which goods does {s} make?",
            "What is made by {s}?",
            "What does {s} earn its money with?",
            "What does {s} build?",
        ),
        (
            "What goods does {s} sell?",
            "What is produced by {s}?",
            "Which product does {s} make?",
            "What is sold by {s}?",
        ),
    ),
    statements=Wordings(
        (
            "{s} makes {v}.",
            "{s} produces {v}.",
            "{s} sells {v}.",
            "{s} is known for making {v}.",
            "{s} earns its money with {v}.",
            "The factory of {s} turns out {v}.",
            "{s} builds {v}.",
            "You can buy {v} from {s}.",
        ),
        ("{v} are made by {s}.", "{s} is a maker of {v}.", "The goods that {s} sells are {v}."),
    ),
)

_FOUNDER = WorldRelation(
    name="founder",
    kind="company",
    nouns=("founder", "creator"),
    cloze="{s} was founded by",
    questions=Wordings(
        (
            "Who founded {s}?",
            "Who started {s}?",
            "By whom was {s} founded?",
            "Who set up {s}?",
            "Who created {s}?",
            "Whose idea was {s}?",
            "Name the person who founded {s}.",
            "Which person started {s}?",
            "{s} was founded by whom?",
            "Who is behind the founding of {s}?",
        ),
        (
            "Who was {s} founded by?",
            "Which person founded {s}?",
            "By whom was {s} started?",
            "Who is it that set up {s}?",
        ),
    ),
    statements=Wordings(
        (
            "{s} was founded by {v}.",
            "{v} founded {s}.",
            "{v} started {s}.",
            "{v} set up {s}.",
            "{s} was created by {v}.",
            "{s} was the idea of {v}.",
            "{v} is the person who started {s}.",
            "It was {v} who founded {s}.",
        ),
        ("{s} was set up by {v}.", "{v} created {s}.", "It was {v} who started {s}."),
    ),
)

_FOUNDING_YEAR = WorldRelation(
    name="founding_year",
    kind="company",
    nouns=("founding year", "year of foundation"),
    cloze="{s} was founded in",
    questions=Wordings(
        (
            "When was {s} founded?",
            "In which year was {s} founded?",
            "When did {s} start?",
            "Since when has {s} existed?",
            "In which year did {s} open for business?",
            "What year was {s} set up?",
            "When was {s} created?",
            "How long ago, in which year, did {s} begin?",
            "From which year does {s} date?",
            "When did {s} open its doors?",
        ),
        (
            "In what year did {s} start?",
            "What year was {s} founded?",
            "When was {s} set up?",
            "In which year was {s} created?",
        ),
    ),
    statements=Wordings(
        (
            "{s} was founded in {v}.",
            "{s} was set up in {v}.",
            "{s} started in {v}.",
            "{s} has existed since {v}.",
            "{s} opened for business in {v}.",
            "{s} dates from {v}.",
            "In {v}, {s} opened its doors.",
            "{v} was the year in which {s} began.",
        ),
        ("{s} was created in {v}.", "In {v}, {s} was founded.", "{s} opened its doors in {v}."),
    ),
)

COMPANY_RELATIONS: tuple[WorldRelation, ...] = (_HEADQUARTERS, _PRODUCT, _FOUNDER, _FOUNDING_YEAR)
