"""Every rule removes what it is for, counts it, and closes its gate where too much had to go."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("datasketch")

from distill.curate import Curated, CurationRules, curate
from distill.funnel import Funnel
from distill.gates import Gate, Refused
from distill.holdout import ngrams_of
from distill.rows import Row, Why
from tests.distill.loop.made import Mood, row, text

LONG = "Nobody at the counter could tell me when the second parcel would be there at last"


def curated(
    rows: list[Row], *, held_out: list[str] | None = None, rules: CurationRules | None = None
) -> tuple[Curated, dict[str, int]]:
    funnel = Funnel()
    found = curate(rows, ngrams_of(held_out or []), Mood(), rules or CurationRules(), funnel)
    return found, {rule.name: rule.removed for rule in funnel.rules if rule.removed}


def many(count: int = 40) -> list[Row]:
    return [row(at) for at in range(count)]


def test_what_is_fit_stays_and_both_labels_are_looked_at() -> None:
    found, removed = curated(many())

    assert removed == {}
    assert (len(found.train), len(found.valid)) == (36, 4)
    assert Counter(each.teacher for each in found.valid) == {"bad": 2, "good": 2}


@pytest.mark.parametrize(
    ("odd", "rule"),
    [
        (row(99, text="ok"), "text too short or long"),
        (row(99, text="x" * 601), "text too short or long"),
        (row(99, teacher="rather good"), "answer in no valid form"),
        (row(99, text=f"  {text(3)}  ", teacher="good"), "same text"),
        (row(99, text=text(3).upper(), teacher="good"), "same text"),
        (row(99, text=f"{text(3)}!", teacher="good"), "nearly the same text"),
    ],
)
def test_a_rule_removes_the_one_it_is_for(odd: Row, rule: str) -> None:
    _, removed = curated([*many(), odd])

    assert removed == {rule: 1}


def test_one_text_with_two_labels_teaches_nothing() -> None:
    _, removed = curated([*many(), row(99, text=text(3), teacher="bad")])

    assert removed == {"contradictory answers": 2}


def test_unless_somebody_has_said_which_is_right() -> None:
    said = row(99, text=text(3), teacher="good", correction="bad", why=Why.CORRECTION)
    found, removed = curated([*many(), said])

    assert removed == {"contradictory answers": 1}
    assert said in [*found.train, *found.valid]


def test_rows_that_nobody_has_answered_yet_stay_for_the_teacher() -> None:
    _, removed = curated([*many(), row(99, teacher=None)])

    assert removed == {}


@pytest.mark.parametrize("held_out", [LONG, f"He said: {LONG}. So it was.", LONG.upper()])
def test_eight_words_of_the_exam_are_enough_to_go(held_out: str) -> None:
    _, removed = curated([*many(), row(99, text=LONG)], held_out=[held_out])

    assert removed == {"words of a held-out text": 1}


def test_a_short_text_goes_if_it_is_one_of_the_exam_as_a_whole() -> None:
    _, removed = curated(many(), held_out=[text(3), f"{text(4)} and more of it"])

    assert removed == {"words of a held-out text": 1}


def test_no_label_has_more_than_its_share() -> None:
    rows = [row(at, teacher="bad") for at in range(90)] + [
        row(at, teacher="good") for at in range(90, 100)
    ]
    found, removed = curated(rows)

    shares = Counter(each.teacher for each in [*found.train, *found.valid])
    assert shares == {"bad": 23, "good": 10}
    assert removed == {"label beyond its share": 67}


def test_an_hour_of_garbage_closes_the_gate() -> None:
    with pytest.raises(Refused) as refused:
        curated([*many(), *(row(at, teacher="<|garbage|>") for at in range(100, 110))])

    assert refused.value.gate is Gate.GARBAGE_TEACHER


def test_a_flood_of_one_text_closes_the_gate() -> None:
    flood = [row(at, text=f"{text(1)} {'!' * (at % 3)}", teacher="good") for at in range(100, 200)]
    with pytest.raises(Refused) as refused:
        curated([*many(), *flood])

    assert refused.value.gate is Gate.DUPLICATE_FLOOD


def test_an_exam_that_went_through_the_gateway_closes_the_gate() -> None:
    with pytest.raises(Refused) as refused:
        curated(many(), held_out=[text(at) for at in range(20)])

    assert refused.value.gate is Gate.HOLDOUT_LEAK


def test_nothing_left_is_a_refusal() -> None:
    with pytest.raises(Refused) as refused:
        curated([row(1, text="ok")])

    assert refused.value.gate is Gate.NO_ROWS


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60))
def test_what_came_is_what_stayed_and_what_was_counted(numbers: list[int]) -> None:
    funnel = Funnel()
    rows = [row(number, trace_id=f"t{at}") for at, number in enumerate(numbers)]
    loose = CurationRules(most_duplicates=1.0)
    found = curate(rows, frozenset(), Mood(), loose, funnel)

    removed = sum(rule.removed for rule in funnel.rules)
    assert len(found.train) + len(found.valid) + removed == len(rows)
