"""Confidence falls after the commit: the teacher goes on from what the client has read."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from router.trace import Exchange
from router.verification import Ending
from serving.scripts import Cut, Say, Status, Tok
from tests.journeys.rig import SURE, UNSURE, Rig, rig

pytestmark = pytest.mark.anyio

ANSWER = ("The", " answer", " is", " 42", ".", " Sure", "!")
ROUTE: dict[str, Any] = {
    "gate": {"window_tokens": 2},
    "on_collapse": "takeover",
    "collapse": {"below": 0.5, "window_tokens": 1},
}


@asynccontextmanager
async def taking_over(**more: Any) -> AsyncIterator[Rig]:
    """A route whose pair is examined already."""
    async with rig(route=ROUTE | more.pop("route", {}), **more) as on:
        on.student.script(Say("One", " two", Tok(" three", UNSURE), logprob=SURE))
        on.teacher.script(Say("One", " two", " four"))
        await on.events()
        for engine in (on.student, on.teacher):
            engine.requests.clear()
        await on.traces.exchange()
        on.traces.exchanges.clear()
        on.traces.judgements.clear()
        on.journal.clear()
        yield on


def falling(*tokens: str, at: int, **more: Any) -> Say:
    """Sure, and from token `at` on not."""
    nats = [SURE if number < at else UNSURE for number, _ in enumerate(tokens)]
    return Say(*(Tok(*each) for each in zip(tokens, nats, strict=True)), **more)


def text(events: list[str]) -> str:
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return "".join(each["delta"].get("content") or "" for each in choices)


async def told(on: Rig) -> Exchange:
    return await on.traces.exchange()


async def test_the_teacher_goes_on_from_what_was_sent_and_nothing_is_lost_or_comes_twice() -> None:
    async with taking_over() as on:
        on.student.script(falling("The", " answer", " is", " 41", "?", at=3, pause_after=4))
        on.teacher.script(Say(*ANSWER))

        response, events = await on.events(
            max_tokens=50, stream_options={"include_usage": True}, temperature=0
        )

        chunks = [json.loads(event) for event in events[:-1]]
        assert text(events) == "The answer is 42. Sure!"
        assert events[-1] == "[DONE]"
        assert len({chunk["id"] for chunk in chunks}) == 1
        assert {chunk["model"] for chunk in chunks} == {"student"}
        assert response.headers["x-tutelage-reason"] == "confident"
        ends = [chunk for chunk in chunks if "tutelage" in chunk]
        assert [end["choices"][0]["finish_reason"] for end in ends] == ["stop"]
        assert ends[0]["tutelage"] == {
            "served_by": "both",
            "reason": "takeover",
            "model": "teacher",
            "student_tokens": 3,
        }
        assert chunks[-1]["usage"]["completion_tokens"] == 8
        await on.student.idle()
        assert "student left after 4" in on.journal
        (going_on,) = on.teacher.requests
        assert going_on.path == "/v1/completions"
        assert going_on.body["max_tokens"] == 47
        exchange = await told(on)
        assert (exchange.served_by, exchange.reason) == ("both", "takeover")
        assert exchange.verification is not None
        assert exchange.verification.ending is Ending.TAKEN_OVER
        assert exchange.verification.kept == 3
        assert exchange.student is not None
        assert exchange.student.text == "The answer is"
        assert not exchange.student.complete
        assert exchange.teacher is not None
        assert exchange.teacher.text == "The answer is 42. Sure!"


async def test_a_student_that_stays_sure_is_left_alone() -> None:
    async with taking_over() as on:
        on.student.script(Say(*ANSWER, logprob=SURE))

        _, events = await on.events()

        assert text(events) == "The answer is 42. Sure!"
        assert not any("tutelage" in event for event in events)
        assert not on.teacher.requests
        assert (await told(on)).served_by == "student"


async def test_where_the_teacher_cannot_the_student_goes_on_to_its_end() -> None:
    async with taking_over() as on:
        on.student.script(falling("The", " answer", " is", " 41", "?", at=3))
        on.teacher.script(Status(500))

        _, events = await on.events(stream_options={"include_usage": True})

        assert text(events) == "The answer is 41?"
        assert events[-1] == "[DONE]"
        exchange = await told(on)
        assert (exchange.served_by, exchange.reason) == ("student", "confident")
        assert exchange.verification is not None
        assert exchange.verification.ending is Ending.FAILED


async def test_a_teacher_that_breaks_off_ends_the_stream_loudly() -> None:
    async with taking_over() as on:
        on.student.script(falling("The", " answer", " is", " 41", at=3))
        on.teacher.script(Cut(after=1, of=Say(*ANSWER)))

        _, events = await on.events()

        assert "error" in events[-1]
        assert (await told(on)).outcome == "cut"


async def test_a_fall_within_a_character_goes_on_from_before_it() -> None:
    async with taking_over() as on:
        begun = [Tok("Hi", SURE), Tok("", SURE), Tok("😀", SURE), Tok("", SURE)]
        on.student.script(Say(*begun, Tok("", UNSURE), Tok("😁", UNSURE), Tok("x", UNSURE)))
        on.teacher.script(Say("Hi", "", "😀", "", "", "😁", "!"))

        _, events = await on.events()

        exchange = await told(on)
        assert text(events).startswith("Hi😀")
        assert "\ufffd" not in text(events)
        assert exchange.verification is not None
        assert exchange.verification.ending is Ending.TAKEN_OVER
        assert text(events) == "Hi😀😁!"


async def test_a_fall_at_the_last_token_changes_nothing() -> None:
    async with taking_over() as on:
        on.student.script(Say("Yes", " it", " is", logprob=SURE, end=Tok("", UNSURE)))

        _, events = await on.events()

        assert text(events) == "Yes it is"
        assert not on.teacher.requests


async def test_the_limit_of_the_client_holds_for_both_together() -> None:
    async with taking_over() as on:
        on.student.script(falling("The", " answer", " is", " 41", at=3))
        on.teacher.script(Say(*ANSWER))

        _, events = await on.events(max_tokens=5)

        assert text(events) == "The answer is 42."
        finished = [json.loads(event)["choices"] for event in events[:-1]]
        assert finished[-1][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    "wish",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
        {"n": 2},
    ],
)
async def test_what_cannot_be_gone_on_from_is_not_watched(wish: dict[str, Any]) -> None:
    async with taking_over() as on:
        on.student.script(falling("The", " answer", " is", " 41", at=3))

        await on.events(**wish)

        assert not on.teacher.requests


async def test_an_answer_that_is_taken_over_is_not_shadowed_and_counts_as_a_fallback() -> None:
    async with taking_over(route={"shadow": {"rate": 1.0}}) as on:
        on.student.script(falling("The", " answer", " is", " 41", at=3))
        on.teacher.script(Say(*ANSWER))

        await on.events()

        await told(on)
        assert await on.metric("tutelage_fallbacks_total", reason="takeover", how="takeover") == 2
        assert await on.metric("tutelage_verifications_total", outcome="taken_over") == 2
        assert await on.metric("tutelage_requests_total", served_by="both") == 2
        assert not on.traces.judgements


async def test_a_pair_that_cannot_be_gone_on_from_is_told_in_the_trace() -> None:
    async with rig(route=ROUTE, large={"flavour": "llamacpp"}) as on:
        on.student.script(falling("The", " answer", " is", " 41", at=3))

        _, events = await on.events()

        exchange = await told(on)
        assert text(events) == "The answer is 41"
        assert exchange.verification is not None
        assert exchange.verification.ending is Ending.UNFIT
        assert "tells no token ids" in exchange.verification.why_not


async def test_text_completions_are_taken_over_in_their_own_form() -> None:
    async with taking_over() as on:
        on.student.script(falling("The", " answer", " is", " 41", at=3))
        on.teacher.script(Say(*ANSWER))
        body = {"model": "support", "prompt": [3], "max_tokens": 20, "stream": True}

        async with on.http.stream("POST", "/v1/completions", json=body) as response:
            lines = [line async for line in response.aiter_lines() if line]

        chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
        said = "".join(chunk["choices"][0]["text"] for chunk in chunks)
        assert said == "The answer is 42. Sure!"
        assert chunks[-1]["tutelage"]["student_tokens"] == 3
