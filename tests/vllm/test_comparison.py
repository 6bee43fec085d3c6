"""How verified answers are held to the teacher's own, without an engine."""

from typing import Any

import msgspec
import pytest

from router.verification import Ending
from tests.vllm.comparison import (
    Again,
    Difference,
    Own,
    Row,
    Verified,
    differences,
    figures,
    margins,
    roundings,
)
from tests.vllm.prompts import prose, triage

OWN = Own(
    text="The sea is wide.",
    finish_reason="stop",
    prompt_tokens=7,
    texts=("The", " sea", " is", " wide", ".", ""),
    token_ids=(1, 2, 3, 4, 5, 0),
    written=(2.0, 0.125, 3.0, 1.0, 4.0, 5.0),
    read=(2.0, -0.0625, 3.0, 0.0625, 4.0, 5.5),
)
SAME = Verified(
    text=OWN.text,
    finish_reason="stop",
    prompt_tokens=7,
    completion_tokens=6,
    ending=Ending.CONTINUED,
    why_not="",
    kept=3,
    agreed=3,
    ids=(1, 2, 3, 9),
    teacher_tokens=4,
)


def row(*, again: str = OWN.text, **whole: Any) -> Row:
    answer = msgspec.structs.replace(SAME, **whole)
    return Row(own=OWN, again=Again(text=again, finish_reason="stop"), whole=answer)


def test_an_answer_that_is_the_same_to_the_letter_and_the_count_is_equal() -> None:
    assert differences([row()]) == []
    assert figures([row()], "whole").equal == 1


@pytest.mark.parametrize(
    "other",
    [
        {"text": "The sea is deep."},
        {"finish_reason": "length"},
        {"prompt_tokens": 8},
        {"completion_tokens": 5},
    ],
)
def test_anything_else_is_a_difference(other: dict[str, Any]) -> None:
    (found,) = differences([row(**other)])

    assert found.how == "whole"
    assert figures([row(**other)], "whole").equal == 0


@pytest.mark.parametrize(
    ("text", "at", "kept", "near"),
    [
        ("The lake is wide.", 1, True, True),
        ("The sea was wide.", 2, True, False),
        ("The sea is deep.", 3, False, False),
        ("The sea is wide", 4, False, False),
        ("The sea is wide. And", 5, False, False),
    ],
)
def test_a_difference_is_told_by_its_first_token_and_how_sure_the_teacher_was(
    text: str, at: int, *, kept: bool, near: bool
) -> None:
    (found,) = differences([row(text=text)])

    assert found == Difference(prompt=0, how="whole", at=at, lead=OWN.written[at], kept=kept)
    assert found.near_tie is near


def test_a_teacher_that_differs_from_itself_is_told_apart() -> None:
    (found,) = differences([row(again="The lake is wide.")])

    assert (found.how, found.kept, found.near_tie) == ("again", False, True)


def test_what_is_saved_is_what_the_teacher_did_not_write() -> None:
    told = figures([row(), row(teacher_tokens=8, ending=Ending.REJECTED, kept=0)], "whole")

    assert (told.own_tokens, told.written, told.saved) == (12, 12, 0.0)
    assert (told.drafted, told.agreed, told.kept) == (8, 6, 3)
    assert told.endings == {"continued": 1, "rejected": 1}


def test_a_margin_is_wrong_where_another_token_leads_by_more_and_refuses_what_leads_by_less() -> (
    None
):
    found = margins([row()], (0.0, 0.0625, 2.0))

    assert [(each.wrong, each.refused) for each in found] == [(1, 0), (0, 1), (0, 2)]
    assert roundings([row()])[-2:] == [0.5, 0.9375]


def test_prompts_are_many_and_each_is_asked_once() -> None:
    for made in (triage(200), prose(200)):
        assert len({str(each) for each in made.all}) == 200
