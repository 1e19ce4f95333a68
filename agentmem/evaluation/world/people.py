"""Relations of people."""

from __future__ import annotations

from agentmem.evaluation.world.relations import Wordings, WorldRelation

__all__ = ["PERSON_RELATIONS"]

_HOME_CITY = WorldRelation(
    name="home_city",
    kind="person",
    nouns=("home city", "city of residence"),
    cloze="{s} lives in",
    questions=Wordings(
        (
            "Where does {s} live?",
            "Which city does {s} live in?",
            "What city is {s} living in?",
            "In which city is {s}'s home?",
            "Where is {s}'s house?",
            "Which city does {s} call home?",
            "Name the city where {s} lives.",
            "Where has {s} settled?",
            "Which town is home to {s}?",
            "Where does {s} reside?",
            "Where is {s} living these days?",
            "{s} lives in which city?",
            "If I wanted to visit {s} at home, which city would I go to?",
            "Where did {s} move to?",
        ),
        (
            "In what city does {s} live?",
            "Where is the home of {s}?",
            "What city does {s} call home?",
            "To which city did {s} move?",
        ),
    ),
    statements=Wordings(
        (
            "{s} lives in {v}.",
            "{s} resides in {v}.",
            "{s} is living in {v} these days.",
            "{s} has settled in {v}.",
            "{s} calls {v} home.",
            "{s} moved to {v}.",
            "{v} is where {s} lives.",
            "{v} is home to {s}.",
            "The home of {s} is in {v}.",
            "{s} has a house in {v}.",
            "You can find {s} at home in {v}.",
        ),
        ("{s} makes a home in {v}.", "In {v} you will find {s}'s house.", "{s} now lives in {v}."),
    ),
    my_questions=Wordings(
        ("Where do I live?", "Which city do I live in?", "Where is my home?", "Which city do I call home?"),
        ("In what city do I live?", "Where did I move to?"),
    ),
    my_statements=(
        "I live in {v}.",
        "I moved to {v}.",
        "I am living in {v} these days.",
        "I call {v} home.",
        "My house is in {v}.",
    ),
)

_EMPLOYER = WorldRelation(
    name="employer",
    kind="person",
    nouns=("employer", "company"),
    cloze="{s} works for",
    questions=Wordings(
        (
            "Who does {s} work for?",
            "Which company does {s} work for?",
            "Where is {s} employed?",
            "Who is {s} employed by?",
            "Which firm employs {s}?",
            "Who employs {s}?",
            "Name the company that employs {s}.",
            "At which company is {s} on the staff?",
            "{s} works for which company?",
            "Whose staff is {s} on?",
            "Which firm does {s} work at?",
            "Who pays {s}'s salary?",
            "Which company hired {s}?",
            "Which company did {s} join?",
        ),
        (
            "What company does {s} work at?",
            "For whom does {s} work?",
            "By which firm is {s} employed?",
            "Who hired {s}?",
        ),
    ),
    statements=Wordings(
        (
            "{s} works for {v}.",
            "{s} is employed by {v}.",
            "{s} works at {v}.",
            "{v} employs {s}.",
            "{s} is on the staff of {v}.",
            "{v} pays {s}'s salary.",
            "{s} was hired by {v}.",
            "{v} hired {s}.",
            "{s} joined {v}.",
            "{s} has a job at {v}.",
            "{s} goes to work at {v} every day.",
        ),
        ("{s} is an employee of {v}.", "{v} has {s} on the staff.", "{s} earns a salary at {v}."),
    ),
    my_questions=Wordings(
        ("Who do I work for?", "Which company do I work for?", "Where am I employed?", "Who employs me?"),
        ("What company do I work at?", "Who hired me?"),
    ),
    my_statements=(
        "I work for {v}.",
        "I work at {v}.",
        "I joined {v}.",
        "I am employed by {v}.",
        "{v} hired me.",
    ),
)

_OCCUPATION = WorldRelation(
    name="occupation",
    kind="person",
    nouns=("occupation", "job", "profession"),
    cloze="{s} works as {a}",
    questions=Wordings(
        (
            "What does {s} do for a living?",
            "What does {s} work as?",
            "What kind of work does {s} do?",
            "How does {s} earn a living?",
            "What is {s} by profession?",
            "Which profession does {s} practise?",
            "What line of work is {s} in?",
            "What did {s} train as?",
            "What does {s} do at work?",
            "As what does {s} earn a living?",
            "{s} works as what?",
            "What sort of job does {s} do?",
        ),
        (
            "What work does {s} do?",
            "As what does {s} work?",
            "What is {s} by trade?",
            "What kind of job does {s} have?",
        ),
    ),
    statements=Wordings(
        (
            "{s} works as {a} {v}.",
            "{s} is {a} {v}.",
            "{s} is {a} {v} by profession.",
            "{s} earns a living as {a} {v}.",
            "{s} trained as {a} {v}.",
            "{s} has a job as {a} {v}.",
            "{s} does the work of {a} {v}.",
            "{s} became {a} {v}.",
            "Working as {a} {v} is what {s} does for a living.",
            "{s} is employed as {a} {v}.",
        ),
        ("{s} makes a living as {a} {v}.", "By trade, {s} is {a} {v}.", "{s} is working as {a} {v}."),
    ),
    my_questions=Wordings(
        (
            "What do I do for a living?",
            "What do I work as?",
            "What kind of work do I do?",
            "How do I earn a living?",
        ),
        ("As what do I work?", "What am I by trade?"),
    ),
    my_statements=(
        "I work as {a} {v}.",
        "I am {a} {v}.",
        "I am {a} {v} by profession.",
        "I earn a living as {a} {v}.",
        "I trained as {a} {v}.",
    ),
    shown="{v}",
)

_HOBBY = WorldRelation(
    name="hobby",
    kind="person",
    nouns=("hobby", "favourite pastime"),
    cloze="{s}'s hobby is",
    questions=Wordings(
        (
            "What does {s} do for fun?",
            "What does {s} like to do in spare time?",
            "How does {s} spend free time?",
            "What does {s} enjoy at the weekend?",
            "Which pastime does {s} enjoy?",
            "What does {s} do at the weekend?",
            "What is {s} keen on?",
            "Which hobby does {s} enjoy most?",
            "What does {s} love doing after work?",
            "What keeps {s} busy after work?",
            "What does {s} do to relax?",
            "{s} spends free time on what?",
        ),
        (
            "What does {s} do in free time?",
            "How does {s} relax after work?",
            "What keeps {s} busy at the weekend?",
            "Which pastime is {s} keen on?",
        ),
    ),
    statements=Wordings(
        (
            "{s} enjoys {v}.",
            "{s} spends free time on {v}.",
            "{s} is keen on {v}.",
            "{s} loves {v}.",
            "{s} relaxes with {v} after work.",
            "{s} likes {v} in spare time.",
            "At the weekend {s} enjoys {v}.",
            "For fun, {s} goes in for {v}.",
            "{v} keeps {s} busy at the weekend.",
            "{v} is what {s} does for fun.",
        ),
        ("In spare time {s} enjoys {v}.", "{s} relaxes with {v}.", "After work {s} is busy with {v}."),
    ),
    my_questions=Wordings(
        (
            "What do I do for fun?",
            "How do I spend my free time?",
            "What am I keen on?",
            "What do I do to relax?",
        ),
        ("What do I do in my free time?", "What keeps me busy at the weekend?"),
    ),
    my_statements=(
        "I enjoy {v}.",
        "I spend my free time on {v}.",
        "I am keen on {v}.",
        "I love {v}.",
        "I relax with {v}.",
    ),
)

_FOOD = WorldRelation(
    name="favourite_food",
    kind="person",
    nouns=("favourite food", "favourite dish"),
    cloze="{s}'s favourite food is",
    questions=Wordings(
        (
            "What does {s} like to eat?",
            "What food does {s} like best?",
            "Which dish does {s} like most?",
            "What does {s} eat most happily?",
            "What would {s} order in a restaurant?",
            "What should I cook for {s}?",
            "Which food does {s} prefer?",
            "What does {s} always order?",
            "Which meal makes {s} happy?",
            "What is the dish that {s} likes best?",
            "What should we serve {s} for dinner?",
            "What does {s} love to eat?",
        ),
        (
            "Which food does {s} like best?",
            "What dish would {s} order?",
            "What does {s} prefer to eat?",
            "What should I serve {s}?",
        ),
    ),
    statements=Wordings(
        (
            "{s} likes to eat {v}.",
            "{s} likes {v} best of all food.",
            "{s} always orders {v}.",
            "{s} loves to eat {v}.",
            "{s} would order {v} in a restaurant.",
            "{s} prefers {v} to any other dish.",
            "{v} is the dish that {s} likes best.",
            "A plate of {v} makes {s} happy.",
            "Serve {s} {v} for dinner.",
            "If you cook for {s}, make {v}.",
        ),
        (
            "{s} is happy with a plate of {v}.",
            "For dinner {s} likes {v}.",
            "{s} likes no food more than {v}.",
        ),
    ),
    my_questions=Wordings(
        (
            "What do I like to eat?",
            "What food do I like best?",
            "Which dish do I like most?",
            "What do I always order?",
        ),
        ("Which food do I like best?", "What do I prefer to eat?"),
    ),
    my_statements=(
        "I like to eat {v}.",
        "I always order {v}.",
        "I like {v} best of all food.",
        "I love to eat {v}.",
        "I prefer {v} to any other dish.",
    ),
)

_INSTRUMENT = WorldRelation(
    name="instrument",
    kind="person",
    nouns=("instrument", "musical instrument"),
    cloze="{s} plays the",
    questions=Wordings(
        (
            "Which instrument does {s} play?",
            "What does {s} play in the band?",
            "What instrument can {s} play?",
            "Which instrument is {s} learning?",
            "What does {s} play in the orchestra?",
            "Which musical instrument does {s} practise?",
            "On which instrument does {s} make music?",
            "{s} plays which instrument?",
            "Name the instrument that {s} plays.",
            "What instrument has {s} been taking lessons in?",
            "What does {s} play at concerts?",
            "Which instrument did {s} learn to play?",
        ),
        (
            "What instrument does {s} play?",
            "Which instrument can {s} play?",
            "What does {s} play when the band makes music?",
            "What instrument did {s} learn?",
        ),
    ),
    statements=Wordings(
        (
            "{s} plays the {v}.",
            "{s} can play the {v}.",
            "{s} practises the {v}.",
            "{s} learned to play the {v}.",
            "{s} takes lessons in the {v}.",
            "{s} makes music on the {v}.",
            "{s} plays the {v} in a band.",
            "At concerts {s} plays the {v}.",
            "The {v} is the instrument that {s} plays.",
            "In the orchestra {s} is on the {v}.",
        ),
        ("{s} is learning the {v}.", "On the {v}, {s} makes music.", "{s} practises playing the {v}."),
    ),
    my_questions=Wordings(
        (
            "Which instrument do I play?",
            "What instrument can I play?",
            "Which instrument am I learning?",
            "What do I play in the band?",
        ),
        ("What instrument do I play?", "Which instrument did I learn?"),
    ),
    my_statements=(
        "I play the {v}.",
        "I can play the {v}.",
        "I practise the {v}.",
        "I take lessons in the {v}.",
        "I learned to play the {v}.",
    ),
    shown="the {v}",
)

PERSON_RELATIONS: tuple[WorldRelation, ...] = (_HOME_CITY, _EMPLOYER, _OCCUPATION, _HOBBY, _FOOD, _INSTRUMENT)
