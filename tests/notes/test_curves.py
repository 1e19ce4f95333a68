"""Forgetting curves: worked values, the reference package, clocks that lie, and errors that say what to do."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from agentmem.errors import InvalidArgument
from agentmem.notes.curves import (
    CURVES,
    FSRS6,
    FSRS6_PARAMETERS,
    GRADES,
    Ebbinghaus,
    NoForgetting,
    Power,
    curve,
    due,
    elapsed_days,
    sample,
)
from agentmem.notes.note import MemoryState
from agentmem.notes.protocols import ForgettingCurve

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def days(n: float) -> timedelta:
    return timedelta(days=n)


@pytest.mark.parametrize("name", CURVES)
def test_curves_by_name(name):
    """Every listed name gives a curve of that name that satisfies the protocol."""
    made = curve(name)

    assert made.name == name
    assert isinstance(made, ForgettingCurve)


@pytest.mark.parametrize("alias", ["fsrs", "FSRS-6", " fsrs6 "])
def test_default_curve_aliases(alias):
    """The default curve is found under the names people write."""
    assert curve(alias).name == "fsrs6"


def test_unknown_curve_names_the_known_ones():
    """An unknown curve is a typed error whose hint lists what there is."""
    with pytest.raises(InvalidArgument) as caught:
        curve("sm2")

    assert all(name in caught.value.hint for name in CURVES)


def test_ebbinghaus_is_the_papers_formula():
    """R = exp(-t/S), S starts at one day and grows by one per recall."""
    model = Ebbinghaus()
    state = model.initial(NOW)

    assert model.retrievability(state, NOW + days(2)) == pytest.approx(math.exp(-2))
    later = model.review(model.review(state, NOW + days(1)), NOW + days(2))
    assert later.stability == 3
    assert model.retrievability(later, NOW + days(8)) == pytest.approx(math.exp(-2))


def test_fsrs_strength_at_its_stability_is_nine_tenths():
    """Stability is the number of days until the strength is 0.9."""
    model = FSRS6()
    state = MemoryState(10.0, 5.0, NOW)

    assert model.retrievability(state, NOW + days(10)) == pytest.approx(0.9)
    assert model.retrievability(state, NOW + days(365)) == pytest.approx(0.574, abs=5e-4)
    assert model.retrievability(state, NOW + timedelta(hours=6)) < 1


@pytest.mark.parametrize("seed", range(40))
def test_fsrs_equals_the_reference_at_whole_days(seed):
    """Stability, difficulty and strength equal the fsrs package's over random histories, same-day reviews included."""
    fsrs = pytest.importorskip("fsrs")
    pick = random.Random(seed)
    scheduler = fsrs.Scheduler(enable_fuzzing=False, learning_steps=[], relearning_steps=[])
    importance, grade = pick.choice([(0.0, 2), (0.5, 3), (1.0, 4)])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    card, _ = scheduler.review_card(fsrs.Card(), fsrs.Rating(grade), now)
    model = FSRS6()
    state = model.initial(now, importance=importance)

    for _ in range(10):
        now += days(pick.choice([0, 0, 1, 2, 5, 20, 90]))
        strength = scheduler.get_card_retrievability(card, now)
        assert model.retrievability(state, now) == pytest.approx(strength, abs=1e-6)
        grade = pick.randint(1, 4)
        card, _ = scheduler.review_card(card, fsrs.Rating(grade), now)
        state = model.review(state, now, GRADES[grade - 1])
        assert state.stability == pytest.approx(card.stability, rel=1e-6)
        assert state.difficulty == pytest.approx(card.difficulty, abs=1e-6)


def test_fsrs_defaults_are_the_published_ones():
    """The default parameters are those of the reference package."""
    scheduler = pytest.importorskip("fsrs.scheduler")

    assert scheduler.DEFAULT_PARAMETERS == FSRS6_PARAMETERS


@pytest.mark.parametrize("name", CURVES)
def test_unknown_grade_is_refused(name):
    """A grade that is none of the four is a typed error, not a silent "good"."""
    model = curve(name)

    with pytest.raises(InvalidArgument, match="grade"):
        model.review(model.initial(NOW), NOW, "perfect")


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("importance", [-0.1, 1.1, float("nan")])
def test_importance_outside_its_range_is_refused(name, importance):
    """Importance lies in [0, 1]."""
    with pytest.raises(InvalidArgument, match="Importance"):
        curve(name).initial(NOW, importance=importance)


@pytest.mark.parametrize("name", ["fsrs6", "power"])
def test_important_notes_fade_more_slowly(name):
    """More importance is more strength after a month."""
    model = curve(name)
    strengths = [model.retrievability(model.initial(NOW, importance=i / 10), NOW + days(30)) for i in range(11)]

    assert strengths == sorted(strengths)
    assert strengths[0] < strengths[-1]


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize(
    "shift", [-days(365), -timedelta(hours=1), days(36_500), datetime.max.replace(tzinfo=UTC) - NOW]
)
def test_a_clock_that_jumps_gives_a_strength(name, shift):
    """An hour or a year back, a century ahead, the year 9999: the strength stays in [0, 1]."""
    model = curve(name)
    state = model.initial(NOW)

    assert 0 <= model.retrievability(state, NOW + shift) <= 1
    after = model.review(state, NOW + shift)
    assert 0 <= model.retrievability(after, NOW) <= 1
    assert after.last_review == NOW + shift


def test_a_clock_that_went_back_is_no_elapsed_time():
    """Before the last review no time has passed, so the strength is 1 and not more."""
    state = Ebbinghaus().initial(NOW)

    assert elapsed_days(state, NOW - days(400)) == 0
    assert Ebbinghaus().retrievability(state, NOW - days(400)) == 1


def test_summer_time_does_not_count_as_elapsed_time():
    """Across a change of clocks the elapsed time is what passed, not what the wall clock shows."""
    zone = ZoneInfo("Europe/Lisbon")
    state = MemoryState(1.0, 5.0, datetime(2026, 3, 28, 12, tzinfo=zone))

    assert elapsed_days(state, datetime(2026, 3, 29, 12, tzinfo=zone)) == pytest.approx(23 / 24)


def test_other_zones_and_naive_times_count_as_utc():
    """Times are compared in UTC whatever zone they come in."""
    state = MemoryState(1.0, 5.0, NOW)

    assert elapsed_days(state, NOW.astimezone(timezone(timedelta(hours=9))) + days(1)) == 1
    assert elapsed_days(state, NOW.replace(tzinfo=None) + days(1)) == 1


@pytest.mark.parametrize("stability", [0.0, -1.0, float("nan"), float("inf"), 1e300])
@pytest.mark.parametrize("name", CURVES)
def test_a_damaged_state_still_gives_a_strength(name, stability):
    """A stability that no rule would produce neither raises nor leaves [0, 1]."""
    model = curve(name)
    state = MemoryState(stability, float("nan"), NOW)

    assert 0 <= model.retrievability(state, NOW + days(3)) <= 1
    assert math.isfinite(model.review(state, NOW + days(3)).stability)
    assert 1 <= model.review(state, NOW + days(3)).difficulty <= 10


def test_spaced_recalls_strengthen_more_than_a_burst():
    """Five recalls a week apart outlast five within a minute."""
    for model in (FSRS6(), Power()):
        spaced = burst = model.initial(NOW)
        for i in range(5):
            spaced = model.review(spaced, NOW + days(7 * (i + 1)))
            burst = model.review(burst, NOW + timedelta(seconds=i))
        assert spaced.stability > 2 * burst.stability


def test_a_thousand_recalls_stay_finite():
    """However often a note is used, its state stays a number."""
    for model in (FSRS6(), Power(), Ebbinghaus(), NoForgetting()):
        state = model.initial(NOW)
        for i in range(1000):
            state = model.review(state, NOW + days(i), "easy")
        assert state.recalls == 1000
        assert math.isfinite(state.stability)


def test_no_forgetting_forgets_nothing():
    """With the curve ``none`` a century changes nothing."""
    model = NoForgetting()

    assert model.retrievability(model.initial(NOW), NOW + days(36_500)) == 1


@pytest.mark.parametrize(
    "parameters",
    [(), (1.0,) * 20, (0.0, *FSRS6_PARAMETERS[1:]), (*FSRS6_PARAMETERS[:20], 9.0), (float("nan"),) * 21],
)
def test_parameters_that_cannot_be_are_refused(parameters):
    """FSRS-6 takes 21 finite parameters within bounds."""
    with pytest.raises(InvalidArgument):
        FSRS6(parameters)


@pytest.mark.parametrize("options", [{"decay": 0}, {"decay": 3}, {"growth": 0.5}, {"growth": float("nan")}])
def test_power_options_are_checked(options):
    """The power law's exponent and growth have ranges."""
    with pytest.raises(InvalidArgument):
        Power(**options)


def test_sample_covers_the_span_evenly():
    """Sampling gives n points from start to end, falling."""
    state = FSRS6().initial(NOW)
    points = sample(state, FSRS6(), NOW, NOW + days(10), n=11)

    assert [moment for moment, _ in points] == [NOW + days(i) for i in range(11)]
    assert [r for _, r in points] == sorted((r for _, r in points), reverse=True)
    with pytest.raises(InvalidArgument):
        sample(state, FSRS6(), NOW, NOW)
    with pytest.raises(InvalidArgument):
        sample(state, FSRS6(), NOW, NOW + days(1), n=1)


def test_due_is_when_the_level_is_crossed():
    """FSRS is due at its stability, the exponential at S ln(1/level), and what never fades is never due."""
    state = MemoryState(4.0, 5.0, NOW)

    assert abs((due(state, FSRS6()) - (NOW + days(4))).total_seconds()) < 2
    assert abs((due(state, Ebbinghaus(), 0.5) - (NOW + days(4 * math.log(2)))).total_seconds()) < 2
    assert due(state, NoForgetting()) is None
    with pytest.raises(InvalidArgument):
        due(state, FSRS6(), 1.0)
