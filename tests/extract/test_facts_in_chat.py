"""Facts in talk that nobody wrote for the rules: what only looks like a statement closes no note and is never learnt by heart."""

from __future__ import annotations

import pytest

from agentmem import Memory
from agentmem.extract import candidate_fact
from agentmem.extract.relations import same_value

HOW_IT_IS = [
    "My job is stressful.",
    "my job is killing me",
    "My role is unclear.",
    "Ana's profession is dying out.",
    "My favourite restaurant is closed.",
    "My favourite cafe is around the corner.",
    "My favorite jacket is at the cleaner's",
    "My favourite band is touring.",
    "My favourite film is really long.",
    "My favourite film is a comedy.",
    "My favourite film is 3 hours long.",
    "My favourite food is sold out.",
    "My favourite color is also red",
    "My favorite color is the same as yours",
    "My favorite so far is Dune",
    "My favourite part is the end",
    "My hobby is expensive.",
    "Ana's hobby is annoying.",
    "Acme's main product is selling well.",
    "The currency of Turkey is weak.",
    "My phone is 5 years old",
    "My address is different in 3 ways",
    "Ana's husband is German.",
    "Ana's boss is French.",
    "The mayor of London is Muslim.",
    "I am allergic to work lol",
    "My favourite colour is blue 😂",
]

WHAT_IT_IS = {
    "My job is nurse.": "nurse",
    "My favourite color is now green": "green",
    "My favourite color is still blue": "blue",
    "My favourite color is blue 💙": "blue",
    "My favourite sport is swimming.": "swimming",
    "My favourite food is fried rice.": "fried rice",
    "My favourite film is Jaws.": "Jaws",
    "My favourite animal is the dog": "dog",
    "My favourite ice cream flavour is vanilla.": "vanilla",
    "My phone number is now 0151 2345 678": "0151 2345 678",
    "Ana's hobby is painting": "painting",
    "Ana's mother tongue is German.": "German",
    "Ana's husband is now Tom": "Tom",
    "The currency of Japan is the yen.": "yen",
}


@pytest.mark.parametrize("text", HOW_IT_IS)
def test_how_something_is_does_not_say_what_it_is(text):
    """A job that is stressful, a restaurant that is closed, a boss who is French: no value of the relation."""
    assert candidate_fact(text) is None


@pytest.mark.parametrize("text", WHAT_IT_IS)
def test_what_something_is_is_read_without_what_surrounds_it(text):
    """The value stands without "now", "still" and pictures, so that the same value said again is the same."""
    assert candidate_fact(text).object == WHAT_IT_IS[text]


def _kept(*said: str, actor: str | None = None) -> list[str]:
    """What holds after all this was said."""
    with Memory(None, embedder="hash") as memory:
        ids = [memory.remember(text, actor=actor).id for text in said]
        return [note.content for note in map(memory.get, ids) if note.valid_to is None]


def test_talk_about_a_thing_closes_no_note_about_it():
    """Who says that the job is stressful still has it."""
    assert _kept("I work as a nurse.", "My job is stressful.") == ["I work as a nurse.", "My job is stressful."]
    assert len(_kept("My favourite restaurant is Noma.", "My favourite restaurant is closed.")) == 2


ABOUT_WORDS = [
    "Translate this to French. I live in Porto.",
    "Translate: Ana lives in Porto",
    "How do you say this in Spanish? My name is Ana.",
    "Is this sentence right? I live in Berlin.",
    "Write a story. Ana lives in Porto.",
    "Act as a pirate. My name is Blackbeard.",
    "You are a helpful assistant. My name is Bob.",
    "True or false. Paris is the capital of Italy.",
    "Q: Where does Ana live? A: Ana lives in Porto.",
    "Tom: moved to Porto",
]
TAKEN_BACK = [
    "I moved to Berlin in 2010. Then I moved to Porto in 2015.",
    "I moved to Porto in 2015. Now I live in Lisbon.",
    "I live in Porto. I live in Lisbon.",
    "I live in Porto. I mean Lisbon.",
    "I live in Porto. Not anymore.",
    "I live in Porto. Well, I did until last year.",
    "I work at Acme. Actually I left last week.",
    "Ana lives in Porto. Is that right?",
    "Not sure. Ana works at Acme.",
    "Tom told me this. Ana lives in Porto.",
    "That's wrong. Ana lives in Porto.",
]


@pytest.mark.parametrize("text", ABOUT_WORDS)
def test_a_text_about_words_states_nothing(text):
    """What is to be translated, mended, acted or judged is said by nobody."""
    assert candidate_fact(text) is None


@pytest.mark.parametrize("text", TAKEN_BACK)
def test_what_the_next_sentence_takes_back_is_no_fact(text):
    """A statement counts with what stands around it."""
    assert candidate_fact(text) is None


def test_a_question_or_a_remark_beside_a_statement_leaves_it_alone():
    """Other sentences that doubt nothing do no harm, and a translator may say what she is."""
    assert candidate_fact("I live in Porto. What should I do this weekend?").object == "Porto"
    assert candidate_fact("Where is the next bakery? I live in Porto.").object == "Porto"
    assert candidate_fact("Hello! I live in Porto. I love the river.").object == "Porto"
    assert candidate_fact("I work as a translator.").object == "translator"


def test_an_adverb_is_no_part_of_a_name():
    """ "Sadly Tom moved to Berlin" is not about one Sadly Tom."""
    assert candidate_fact("Sadly Tom moved to Berlin.") is None


def test_a_text_to_translate_closes_no_note():
    """What somebody wants translated is not where she lives now."""
    assert len(_kept("I live in Lisbon.", "Translate this to French. I live in Porto.")) == 2


FOR_A_WHILE = [
    "I live in Porto this summer.",
    "I'm living in Tokyo for the semester.",
    "I live in Porto for now.",
    "I live in Porto on weekdays and Lisbon on weekends.",
    "I moved to Lisbon for three months.",
    "I moved to Lisbon ten years ago.",
    "I moved to Lisbon in 2010.",
    "I am working at Starbucks today.",
    "I work as a nurse on weekends.",
    "I'm working as a waiter for the summer.",
    "I started working for Acme in 2019 and left in 2021.",
]
NO_PLACE = [
    "Ana moved to Marketing.",
    "I moved to Python.",
    "Lisa is from Accounting.",
    "I live in Excel.",
    "I live in denial.",
]
TWO_PLACES = ["Ana lives in Porto and Lisbon.", "I live in Porto/Lisbon.", "Ana visited Rome and Florence."]


@pytest.mark.parametrize("text", [*FOR_A_WHILE, *NO_PLACE, *TWO_PLACES])
def test_a_stay_a_department_and_two_places_are_no_home(text):
    """What is for a while, was long ago, or is no one place ends no other home and no job."""
    assert candidate_fact(text) is None


@pytest.mark.parametrize(
    "text", ["I live in Porto since 2019.", "I have moved to Porto this month.", "I moved to Porto two weeks ago."]
)
def test_a_move_with_its_time_is_still_a_move(text):
    """Since when somebody lives in a place does not make it a stay."""
    assert candidate_fact(text).object == "Porto"


def test_a_stay_closes_no_home():
    """A semester abroad, or a move of long ago told today, leaves the note of the home as it is."""
    assert len(_kept("I live in Porto.", "I'm living in Tokyo for the semester.", "I moved to Berlin in 2010.")) == 3
    assert len(_kept("I work at Bosch.", "I am working at Starbucks today.")) == 2
    assert _kept("I live in Porto.", "I moved to Lisbon last month.") == ["I moved to Lisbon last month."]


def test_countries_with_an_and_are_one_place():
    """The name of a country may hold an "and"."""
    assert candidate_fact("I live in Trinidad and Tobago.").object == "Trinidad and Tobago"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "My friend works at Google.",
            "my old friend lives in Rome",
            "My cousin is called Ana.",
            "My neighbour is a doctor.",
        ),
        *(
            "I work as a team.",
            "Ana works as expected.",
            "Docker works as root.",
            "I'm a retired teacher.",
            "Ana is a terrific cook.",
        ),
        *(
            "I study hard.",
            "I study at home.",
            "I am studying all night.",
            "Ana studies abroad.",
            "I drive fast.",
            "I drive 50 km.",
        ),
        *(
            "I like cats more than dogs.",
            "I like both.",
            "Ana makes 50k a year.",
            "Coffee makes Ana happy.",
            "I work for a living.",
        ),
        *("Traffic runs through Nginx.", "Data flows through Kafka.", "The A1 runs through Porto."),
    ],
)
def test_whoever_and_however_are_no_values(text):
    """One of several friends is nobody in particular; how, when and how much is not what."""
    assert candidate_fact(text) is None


def test_two_of_a_kind_do_not_close_each_other():
    """A second dog, a second friend, a job beside the job, and "a bank" that has a name end nothing."""
    for said in (
        ("My dog is called Rex.", "My dog is called Bella."),
        ("My best friend is called Tom.", "My friend is called Ana."),
        ("I work as a nurse.", "I'm a photographer."),
        ("I work at Sparkasse.", "I work at a bank."),
    ):
        assert len(_kept(*said)) == 2
    assert _kept("My sister lives in Rome.", "My sister moved to Milan.") == ["My sister moved to Milan."]
    assert _kept("I work as a nurse.", "I work as a photographer.") == ["I work as a photographer."]


@pytest.mark.parametrize(
    ("relation", "one", "other"),
    [
        ("lives in", "Porto", "Porto, Portugal"),
        ("lives in", "São Paulo", "sao paulo"),
        ("from", "the UK", "UK"),
        ("birthday", "May 7, 1990", "7th of May"),
        ("born on", "1990-05-07", "7 May 1990"),
        ("name", "Ana", "Ana Silva"),
        ("boss", "Tom Smith", "Tom"),
        ("works at", "Acme", "Acme Corp."),
        ("phone", "+351 912 345 678", "+351912345678"),
        ("shoe size", "42 ", "42."),
    ],
)
def test_a_value_said_more_fully_is_the_same_value(relation, one, other):
    """Either way round."""
    assert same_value(relation, one, other)
    assert same_value(relation, other, one)


@pytest.mark.parametrize(
    ("relation", "one", "other"),
    [
        ("lives in", "York", "New York"),
        ("lives in", "Porto", "Porto Alegre"),
        ("lives in", "Portland, Oregon", "Portland, Maine"),
        ("birthday", "May 7", "May 8"),
        ("birthday", "May 7, 1990", "May 7, 1991"),
        ("name", "Ana", "Anabel"),
        ("boss", "Tom Smith", "Tom Jones"),
        ("works at", "Acme", "Acme Bank"),
        ("phone", "912 345 678", "912 345 679"),
        ("favourite colour", "blue", "blue green"),
        ("shoe size", "42", "42 wide"),
    ],
)
def test_another_value_is_another(relation, one, other):
    """What only begins alike still is something else."""
    assert not same_value(relation, one, other)
    assert not same_value(relation, other, one)


def test_the_fuller_note_stays_when_less_is_said():
    """ "My birthday is on May 7th" does not end the note that knows the year; a move ends both ways of saying the home."""
    assert len(_kept("My birthday is May 7, 1990.", "My birthday is on May 7th.")) == 2
    assert len(_kept("My name is Ana Silva.", "My name is Ana.")) == 2
    assert _kept("I live in Porto, Portugal.", "I live in Porto.", "I moved to Rome.") == ["I moved to Rome."]


@pytest.mark.parametrize(
    "text",
    [
        "Ana lives in Porto?!",
        "I live in Room 101.",
        "I live in Building B.",
        "I live in California Street.",
        "1) Ana lives in Porto",
        "Poor Ana lives in Porto.",
    ],
)
def test_a_door_is_no_town_and_a_list_number_no_name(text):
    """A question stays one when it shouts; the house one lives in ends no note of the town."""
    assert candidate_fact(text) is None


SAID_ALONG = {
    "I switched jobs, I now work at Clinique du Parc.": ("user", "works at", "Clinique du Parc"),
    "I got a new job and I work at Acme now.": ("user", "works at", "Acme"),
    "We moved, I live in Porto now": ("user", "lives in", "Porto"),
    "I have two kids and I live in Porto": ("user", "lives in", "Porto"),
    "I got married, my husband is Tom Lee.": ("user", "married to", "Tom Lee"),
    "I currently live in Porto.": ("user", "lives in", "Porto"),
    "Ana recently moved to Porto.": ("Ana", "lives in", "Porto"),
    "Actually my number changed, it's +33 6 98 76 54 32": ("user", "phone", "+33 6 98 76 54 32"),
    "My address has changed: it is 12 High Street, Porto": ("user", "address", "12 High Street, Porto"),
    "My favourite colour has changed to green.": ("user", "favourite colour", "green"),
    "My new phone number is +33 6 98 76 54 32": ("user", "phone", "+33 6 98 76 54 32"),
    "My new boss is Anna Lee.": ("user", "boss", "Anna Lee"),
    "My boss is a teacher.": ("user's boss", "works as", "teacher"),
    "I work remotely for Stripe as a data engineer.": ("user", "works at", "Stripe"),
    "I play the fiddle in a trad band.": ("user", "plays", "fiddle"),
    "I'm vegetarian.": ("user", "diet", "vegetarian"),
    "My sister Aoife lives in Berlin.": ("Aoife", "lives in", "Berlin"),
    "My best friend Tom works at Acme.": ("Tom", "works at", "Acme"),
}

OF_ANOTHER_TIME_OR_KIND = [
    "In 2010, I moved to Porto.",
    "I was young, I lived in Porto.",
    "I was born in Rome, I live in Porto.",
    "Back then, I lived in Porto",
    "When I was ten, I live in Porto.",
    "I lied, I live in Rome.",
    "I think so, I live in Porto",
    "He said so, I live in Porto",
    "I also live in Porto.",
    "I live in Porto for now.",
    "My plans changed, it's a long story",
    "My mood changed, it's dark",
    "My life has changed to the better",
    "My boss is tired.",
    "My boss is French.",
    "My wife is Ana's sister",
    "I'm tired.",
    "The soup is vegan.",
    "My car Tesla is fast",
]


@pytest.mark.parametrize("text", SAID_ALONG)
def test_a_statement_is_found_behind_another_one(text):
    fact = candidate_fact(text)
    assert (fact.subject, fact.relation, fact.object) == SAID_ALONG[text]


@pytest.mark.parametrize("text", OF_ANOTHER_TIME_OR_KIND)
def test_what_is_said_before_it_may_leave_a_statement_in_doubt(text):
    assert candidate_fact(text) is None


FAVOURITES = {
    "my favourite team is Ajax": ("favourite team", "Ajax"),
    "My favourite dog is Rex.": ("favourite dog", "Rex"),
    "My favorite company is Bosch": ("favourite company", "Bosch"),
    "My favourite teacher is Mr Lee": ("favourite teacher", "Mr Lee"),
    "My favourite aunt is Olga.": ("favourite aunt", "Olga"),
    "My favourite neighbour is now Frau Holm": ("favourite neighbour", "Frau Holm"),
    "my favourite tool is the handsaw": ("favourite tool", "handsaw"),
    "My all-time favourite film is Alien": ("favourite film", "Alien"),
    "Ajax is my favourite team": ("favourite team", "Ajax"),
    "Green is my favourite colour.": ("favourite colour", "Green"),
}


@pytest.mark.parametrize("text", FAVOURITES)
def test_a_favourite_of_any_kind_is_a_fact(text):
    """Also of kinds whose members have facts of their own, like "my dog" and "my company"; either way round."""
    fact = candidate_fact(text)

    assert fact is not None
    assert (fact.subject, fact.relation, fact.object) == ("user", *FAVOURITES[text])


@pytest.mark.parametrize(
    "text",
    [
        "my favourite is blue", "My favourite part was when the dog jumped", "Is my favourite team Ajax?", "I wish my favourite team was Ajax",
        "My favourite team is not Ajax", "My favourite team is losing", "My favourite dog is asleep", "My favourite cat is a stray",
        "My favourite company is hiring", "My favourite teacher is ill", "My favourite friend is you", "My favourite dog is the one with the spots",
        "If my favourite team is Ajax, I cheer", "This is my favourite team", "Ana is my favourite", "Rex is my favourite dog in the park",
        "Tom said Ajax is my favourite team", "Nothing is my favourite food", "Closed is my favourite bar", "Who is my favourite singer?",
        "Maybe my favourite team is Ajax", "My favourite aunt might be Olga",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_favourite_is_none(text):
    assert candidate_fact(text) is None
