"""`shadow.method = "verify"`: the teacher reads what the student served, off the path."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from serving.scripts import Say, Status, Tok
from tests.journeys.rig import Rig, rig

pytestmark = pytest.mark.anyio

GREEDY: dict[str, Any] = {"temperature": 0}
COMPARE = ["exact", "normalised"]


@asynccontextmanager
async def reading(**more: Any) -> AsyncIterator[Rig]:
    """A route whose shadows are read, its pair examined already."""
    route = {"shadow": {"rate": 1.0, "method": "verify"}, "compare": COMPARE}
    async with rig(route=route | more.pop("route", {}), **more) as on:
        await on.ask(**GREEDY)
        await on.traces.judgement(3)
        for engine in (on.student, on.teacher):
            engine.requests.clear()
        on.traces.exchanges.clear()
        on.traces.judgements.clear()
        yield on


async def test_an_answer_that_the_teacher_would_have_written_is_judged_for_a_prefill() -> None:
    async with reading(teacher={"background_priority": 7}) as on:
        on.student.script(Say("All", " is", " well", "."))
        on.teacher.script(Say("All", " is", " well", "."))

        await on.ask(**GREEDY)
        tokens, exact, normalised = [await on.traces.judgement(n) for n in (1, 2, 3)]

        assert (tokens.by, tokens.comparator, tokens.agreement) == ("verification", "tokens", 1.0)
        assert tokens.detail == "lenient(0.0487706): 5 of 5"
        assert tokens.propensity == 1.0
        assert [(each.by, each.comparator) for each in (exact, normalised)] == [
            ("shadow", "exact"),
            ("shadow", "normalised"),
        ]
        assert (exact.agreement, normalised.agreement) == (1.0, 1.0)
        (read,) = on.teacher.requests
        assert read.path == "/v1/completions"
        assert (read.body["max_tokens"], read.body["priority"]) == (1, 7)
        assert await on.metric("tutelage_shadow_total", outcome="compared") == 2


async def test_what_the_teacher_thought_of_each_token_is_kept_as_soft_labels() -> None:
    async with reading() as on:
        on.student.script(Say("All", " well"))
        on.teacher.script(Say("All", " well"))

        await on.ask(**GREEDY)
        kept = (await on.traces.judgement()).verification

        assert kept is not None
        assert len(kept.token_ids) == len(kept.readings) == 3
        assert [each.token_id for each in kept.readings] == list(kept.token_ids)
        assert all(len(each.top) == 5 for each in kept.readings)
        assert kept.written_tokens == 1


async def test_where_they_part_the_teacher_says_what_it_would_have_said() -> None:
    async with reading() as on:
        on.student.script(Say("All", " is", " well"))
        on.teacher.script(Say("All", " is", " lost"))

        await on.ask(**GREEDY)
        tokens, exact = await on.traces.judgement(1), await on.traces.judgement(2)

        assert (tokens.comparator, tokens.agreement) == ("tokens", 0.5)
        assert (exact.by, exact.agreement) == ("shadow", 0.0)
        assert "well" in exact.detail
        assert [each.path for each in on.teacher.requests] == [
            "/v1/completions",
            "/v1/chat/completions",
        ]


async def test_streams_are_read_whole_with_what_came_after_the_commit() -> None:
    async with reading(route={"gate": {"window_tokens": 2}}) as on:
        on.student.script(Say("All", " is", " well", ".", " Bye"))
        on.teacher.script(Say("All", " is", " well", ".", " Bye"))

        _, events = await on.events(**GREEDY)
        tokens = await on.traces.judgement()

        assert tokens.detail.endswith("6 of 6")
        assert "token_ids" not in "".join(events)


async def test_a_tie_counts_as_the_same() -> None:
    async with reading() as on:
        on.student.script(Say("All", " well"))
        on.teacher.script(Say("All", Tok(" well", -0.7)))  # as likely as not

        await on.ask(**GREEDY)

        assert (await on.traces.judgement()).agreement == 1.0


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"temperature": 0.7}, "the client samples"),
        ({"temperature": 0, "logit_bias": {"5": 9}}, "a field that changes the odds"),
    ],
)
async def test_what_cannot_be_read_is_compared_as_ever_and_the_trace_says_why(
    wish: dict[str, Any], why: str
) -> None:
    async with reading() as on:
        await on.ask(**wish)
        unread, exact = await on.traces.judgement(1), await on.traces.judgement(2)

        assert (unread.by, unread.comparator, unread.agreement) == ("verification", "unread", None)
        assert why in unread.detail
        assert (exact.by, exact.agreement) == ("shadow", 1.0)
        assert {each.path for each in on.teacher.requests} == {"/v1/chat/completions"}


@pytest.mark.parametrize("role", ["small", "large"])
async def test_engines_that_tell_no_ids_are_compared_as_ever(role: str) -> None:
    started: dict[str, Any] = {role: {"flavour": "llamacpp"}}
    async with reading(**started) as on:
        await on.ask(**GREEDY)
        unread, exact = await on.traces.judgement(1), await on.traces.judgement(2)

        assert "no token ids" in unread.detail
        assert exact.agreement == 1.0


async def test_a_teacher_that_fails_to_read_is_asked_to_write() -> None:
    async with reading() as on:
        on.student.script(Say("yes"))
        on.teacher.script(Status(500), Say("yes"))

        await on.ask(**GREEDY)

        assert (await on.traces.judgement(1)).comparator == "unread"
        assert (await on.traces.judgement(2)).agreement == 1.0
