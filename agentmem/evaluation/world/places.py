"""Relations of places."""

from __future__ import annotations

from agentmem.evaluation.world.relations import Wordings, WorldRelation

__all__ = ["PLACE_RELATIONS"]

_COUNTRY = WorldRelation(
    name="country",
    kind="place",
    nouns=("country", "home country"),
    cloze="{s} is a town in",
    questions=Wordings(
        (
            "Where is {s}?",
            "In which country is {s}?",
            "Which country does {s} belong to?",
            "Which country is {s} in?",
            "To which country would I travel to see {s}?",
            "In which country can I find {s}?",
            "Where can I find {s} on the map?",
            "Name the country where {s} lies.",
            "{s} is a town in which country?",
            "Which country is {s} part of?",
        ),
        (
            "In what country is {s}?",
            "To which country does {s} belong?",
            "In which country does {s} lie?",
            "What country is {s} part of?",
        ),
    ),
    statements=Wordings(
        (
            "{s} is in {v}.",
            "{s} is a town in {v}.",
            "{s} belongs to {v}.",
            "{s} is part of {v}.",
            "{s} lies in {v}.",
            "You can find {s} in {v}.",
            "To see {s}, travel to {v}.",
            "{v} is the country where {s} lies.",
        ),
        ("In {v} you can find {s}.", "{s} can be found in {v}.", "{v} is where {s} is."),
    ),
)

_RIVER = WorldRelation(
    name="river",
    kind="place",
    nouns=("river", "local river"),
    cloze="{s} lies on the river",
    questions=Wordings(
        (
            "Which river flows through {s}?",
            "What river runs through {s}?",
            "On which river does {s} lie?",
            "Which river is {s} built on?",
            "Which river can be seen in {s}?",
            "What is the river in {s} called?",
            "Which river do the bridges of {s} cross?",
            "Along which river was {s} built?",
            "Name the river that flows through {s}.",
            "{s} lies on which river?",
        ),
        (
            "What river flows through {s}?",
            "Which river runs through {s}?",
            "What river does {s} lie on?",
            "Which river crosses {s}?",
        ),
    ),
    statements=Wordings(
        (
            "{s} lies on the river {v}.",
            "The river {v} flows through {s}.",
            "The {v} runs through {s}.",
            "{s} was built along the {v}.",
            "The bridges of {s} cross the {v}.",
            "The river in {s} is called {v}.",
            "In {s} you can see the river {v}.",
            "{s} is built on the {v}.",
        ),
        ("The {v} flows through {s}.", "{s} lies along the {v}.", "Through {s} runs the river {v}."),
    ),
    shown="the {v}",
)

_SPECIALTY = WorldRelation(
    name="specialty",
    kind="place",
    nouns=("specialty", "main export"),
    cloze="{s} is famous for",
    questions=Wordings(
        (
            "What is {s} famous for?",
            "What is {s} known for?",
            "What do people buy in {s}?",
            "What does {s} export?",
            "What should I bring home from {s}?",
            "Which local product is {s} proud of?",
            "What is the pride of {s}?",
            "What do the shops of {s} sell to visitors?",
            "What made {s} famous?",
            "For what do people travel to {s}?",
        ),
        (
            "For what is {s} famous?",
            "What is {s} proud of?",
            "What do visitors buy in {s}?",
            "What do people know {s} for?",
        ),
    ),
    statements=Wordings(
        (
            "{s} is famous for {v}.",
            "{s} is known for {v}.",
            "{s} exports {v}.",
            "People buy {v} in {s}.",
            "{s} is proud of its {v}.",
            "The pride of {s} is its {v}.",
            "Bring home some {v} from {s}.",
            "The shops of {s} sell {v} to visitors.",
        ),
        ("People know {s} for its {v}.", "Visitors buy {v} in {s}.", "In {s} the shops sell {v}."),
    ),
)

_MAYOR = WorldRelation(
    name="mayor",
    kind="place",
    nouns=("mayor", "head of the town hall"),
    cloze="The mayor of {s} is",
    questions=Wordings(
        (
            "Who is the mayor of {s}?",
            "Who governs {s}?",
            "Who runs the town of {s}?",
            "Who was elected mayor of {s}?",
            "Who leads the council of {s}?",
            "Who is in charge of {s}?",
            "Whom did the people of {s} elect?",
            "Who sits in the town hall of {s}?",
            "Name the mayor of {s}.",
            "Which person is mayor of {s}?",
        ),
        (
            "Who is mayor in {s}?",
            "Who is {s}'s mayor?",
            "By whom is {s} governed?",
            "Whom did {s} elect as mayor?",
        ),
    ),
    statements=Wordings(
        (
            "The mayor of {s} is {v}.",
            "{v} is the mayor of {s}.",
            "{v} governs {s}.",
            "{v} runs the town of {s}.",
            "{v} was elected mayor of {s}.",
            "The people of {s} elected {v}.",
            "{v} is in charge of {s}.",
            "{v} leads the council of {s}.",
        ),
        ("{s} is governed by {v}.", "{v} is mayor in {s}.", "{s} elected {v} as mayor."),
    ),
)

PLACE_RELATIONS: tuple[WorldRelation, ...] = (_COUNTRY, _RIVER, _SPECIALTY, _MAYOR)
