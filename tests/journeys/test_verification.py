"""A deferral is verified: the teacher reads the tokens, and goes on where it disagrees."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from router.verification import Ending, Verification
from serving.scripts import Cut, Say, Status, Tok
from tests.journeys.rig import UNSURE, Rig, rig

pytestmark = pytest.mark.anyio

GREEDY: dict[str, Any] = {"temperature": 0}
ANSWER = ("The", " answer", " is", " 42", ".")


@asynccontextmanager
async def verifying(
    *, window: int = 99, settled: bool = True, verify: dict[str, Any] | None = None, **more: Any
) -> AsyncIterator[Rig]:
    """A route that verifies, its pair examined already unless `settled` is False."""
    route = {"fallback": "verify", "gate": {"window_tokens": window}, "verify": verify or {}}
    async with rig(route=route, **more) as on:
        if settled:
            on.student.script(Say("fine", logprob=UNSURE))
            on.teacher.script(Say("fine"))
            await on.ask(**GREEDY)
            for engine in (on.student, on.teacher):
                engine.requests.clear()
            await on.traces.exchange()
            on.traces.exchanges.clear()
            on.traces.judgements.clear()
            on.journal.clear()
        yield on


def draft(*tokens: Tok | str, **more: Any) -> Say:
    return Say(*tokens, logprob=UNSURE, **more)


async def traced(on: Rig) -> Verification:
    verification = (await on.traces.exchange()).verification
    assert verification is not None
    return verification


def text(events: list[str]) -> str:
    return "".join(
        choice["delta"].get("content") or ""
        for event in events[:-1]
        for choice in _json(event)["choices"]
    )


def _json(event: str) -> Any:
    return json.loads(event)


async def test_a_draft_that_the_teacher_would_have_written_is_the_answer() -> None:
    async with verifying() as on:
        on.student.script(draft(*ANSWER))
        on.teacher.script(Say(*ANSWER))

        neutral: dict[str, Any] = {
            "frequency_penalty": 0,
            "presence_penalty": 0.0,
            "logit_bias": None,
        }
        answer = await on.ask(**GREEDY, **neutral)

        body = answer.json()
        assert body["choices"][0]["message"]["content"] == "The answer is 42."
        assert body["choices"][0]["finish_reason"] == "stop"
        assert body["model"] == "teacher"
        assert answer.headers["x-tutelage-served-by"] == "both"
        assert answer.headers["x-tutelage-model"] == "teacher"
        assert answer.headers["x-tutelage-reason"] == "verified"
        assert "token_ids" not in answer.text
        assert on.journal == [
            "student called", "student finished", "teacher called", "teacher finished",
        ]  # fmt: skip
        assert (await traced(on)).ending is Ending.KEPT


async def test_the_teacher_goes_on_from_the_first_token_that_it_would_not_have_written() -> None:
    async with verifying() as on:
        on.student.script(draft("The", " answer", " is", " 41", "!"))
        on.teacher.script(Say(*ANSWER))

        answer = await on.ask(**GREEDY, max_tokens=50)

        body, told = answer.json(), await traced(on)
        assert body["choices"][0]["message"]["content"] == "The answer is 42."
        usage = body["usage"]
        assert usage["completion_tokens"] == 6  # as if the teacher had written all of it
        assert usage["total_tokens"] == usage["prompt_tokens"] + 6
        assert answer.headers["x-tutelage-reason"] == "verified"
        assert (told.ending, told.kept, told.agreed) == (Ending.CONTINUED, 3, 3)
        reading, going_on = on.teacher.requests
        assert reading.body["prompt"][: len(going_on.body["prompt"])] == going_on.body["prompt"]
        assert len(reading.body["prompt"]) - len(going_on.body["prompt"]) == 3
        assert going_on.body["max_tokens"] == 47
        assert going_on.body["temperature"] == 0


async def test_a_student_that_stops_too_early_is_gone_on_from() -> None:
    async with verifying() as on:
        on.student.script(draft("The", " answer"))
        on.teacher.script(Say(*ANSWER))

        answer = await on.ask(**GREEDY)

        assert answer.json()["choices"][0]["message"]["content"] == "The answer is 42."
        assert (await traced(on)).kept == 2


async def test_a_stream_is_one_voice_from_the_held_window_to_the_teachers_last_word() -> None:
    async with verifying(window=4) as on:
        on.student.script(draft("The", " answer", " is", " 41", "!", pause_after=4))
        on.teacher.script(Say(*ANSWER))

        response, events = await on.events(**GREEDY, stream_options={"include_usage": True})

        chunks = [_json(event) for event in events[:-1]]
        assert text(events) == "The answer is 42."
        assert events[-1] == "[DONE]"
        assert len({chunk["id"] for chunk in chunks}) == 1
        assert {chunk["model"] for chunk in chunks} == {"teacher"}
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]][-2:] == [None, "stop"]
        assert chunks[-1]["usage"]["completion_tokens"] == 6
        assert response.headers["x-tutelage-served-by"] == "both"
        assert response.headers["x-tutelage-reason"] == "verified"
        assert "student left after 4" in on.journal
        assert "41" not in "".join(events)


async def test_a_stream_without_a_wish_for_usage_gets_none() -> None:
    async with verifying(window=4) as on:
        on.student.script(draft("The", " answer", " is", " 41", "!"))
        on.teacher.script(Say(*ANSWER))

        _, events = await on.events(**GREEDY)

        assert text(events) == "The answer is 42."
        assert all(_json(event)["choices"] for event in events[:-1])
        assert not any("token_ids" in event or '"usage"' in event for event in events)


async def test_a_window_that_stands_is_gone_on_from_and_a_whole_draft_is_not() -> None:
    async with verifying(window=4) as on:
        on.student.script(draft(*ANSWER), draft("Yes", "."))
        on.teacher.script(Say(*ANSWER), Say(*ANSWER), Say("Yes", "."))

        _, long = await on.events(**GREEDY)
        _, short = await on.events(**GREEDY)

        assert (text(long), text(short)) == ("The answer is 42.", "Yes.")
        first, second = [(await on.traces.exchange(n)).verification for n in (1, 2)]
        assert first is not None
        assert second is not None
        assert (first.ending, first.kept) == (Ending.CONTINUED, 4)
        assert (second.ending, second.kept) == (Ending.KEPT, 3)


async def test_where_no_token_stands_the_teacher_writes_anew_and_the_reason_is_the_deferrals() -> (
    None
):
    async with verifying() as on:
        on.student.script(draft("No", " idea"))
        on.teacher.script(Say(*ANSWER))

        answer = await on.ask(**GREEDY)

        assert answer.json()["choices"][0]["message"]["content"] == "The answer is 42."
        assert answer.headers["x-tutelage-served-by"] == "teacher"
        assert answer.headers["x-tutelage-reason"] == "low_confidence"
        assert [each.path for each in on.teacher.requests] == [
            "/v1/completions", "/v1/chat/completions",
        ]  # fmt: skip
        assert (await traced(on)).ending is Ending.REJECTED


async def test_a_cut_within_a_character_goes_back_to_its_start() -> None:
    async with verifying() as on:
        smile = [Tok("Hi", UNSURE), Tok("", UNSURE), Tok("😀", UNSURE)]
        on.student.script(Say(*smile[:2], Tok("😁", UNSURE)))
        on.teacher.script(Say("Hi", "", "😀"))

        answer = await on.ask(**GREEDY)

        told = await traced(on)
        assert answer.json()["choices"][0]["message"]["content"] == "Hi😀"
        assert (told.agreed, told.kept) == (2, 1)


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ({}, "temperature"),
        ({"n": 2}, "several choices"),
        ({**GREEDY, "logprobs": True}, "logprobs"),
        ({**GREEDY, "frequency_penalty": 0.5}, "changes the odds"),
        ({**GREEDY, "logit_bias": {"7": 1}}, "changes the odds"),
        ({**GREEDY, "return_token_ids": True}, "changes the odds"),
    ],
)
async def test_what_cannot_be_verified_is_answered_anew_and_the_trace_says_why(
    wishes: dict[str, Any], why: str
) -> None:
    async with verifying() as on:
        on.student.script(draft("The", " answer"))
        on.teacher.script(Say(*ANSWER))

        answer = await on.ask(**wishes)

        told = await traced(on)
        assert answer.json()["choices"][0]["message"]["content"] == "The answer is 42."
        assert answer.headers["x-tutelage-reason"] == "low_confidence"
        assert [each.path for each in on.teacher.requests] == ["/v1/chat/completions"]
        assert told.ending is Ending.UNFIT
        assert why in told.why_not


async def test_pictures_are_not_verified() -> None:
    async with verifying() as on:
        on.student.script(draft(*ANSWER))
        content = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "x"}}]

        await on.ask(**GREEDY, messages=[{"role": "user", "content": content}])

        assert "not only text" in (await traced(on)).why_not


async def test_with_stop_strings_a_draft_stands_whole_or_not_at_all() -> None:
    async with verifying() as on:
        on.student.script(draft(*ANSWER), draft("The", " answer", " is", " 41"))
        on.teacher.script(Say(*ANSWER))

        whole, part = await on.ask(**GREEDY, stop=["#"]), await on.ask(**GREEDY, stop=["#"])

        assert whole.headers["x-tutelage-reason"] == "verified"
        assert part.headers["x-tutelage-reason"] == "low_confidence"
        assert part.json()["choices"][0]["message"]["content"] == "The answer is 42."


async def test_a_loose_rule_keeps_a_near_miss_and_compares_it_with_nobody() -> None:
    async with verifying(verify={"rule": "top_k", "by": 2}) as on:
        on.student.script(draft("The", " result", "."))
        on.teacher.script(Say("The", Tok(" answer", -0.3, ((" result", -1.6),)), "."))

        answer = await on.ask()  # the client samples: a loose rule promises nothing about that

        told = await traced(on)
        assert answer.json()["choices"][0]["message"]["content"] == "The result."
        assert (told.rule, told.ending) == ("top_k(2)", Ending.KEPT)
        judged = await on.traces.judgement()
        assert (judged.by, judged.comparator, judged.agreement) == ("verification", "tokens", 1.0)
        assert len(on.traces.judgements) == 1


async def test_the_trace_keeps_what_the_teacher_thought_of_each_token() -> None:
    async with verifying(verify={"top_logprobs": 3}) as on:
        on.student.script(draft("The", " answer", " was"))
        on.teacher.script(Say("The", Tok(" answer", -0.3, ((" result", -1.6),)), " is"))

        await on.ask(**GREEDY)

        told = await traced(on)
        assert len(told.readings) == len(told.token_ids) == 4
        assert [each.token_id for each in told.readings] == list(told.token_ids)
        assert [each.rank == 1 for each in told.readings] == [True, True, False, True]
        assert [each.nats for each in told.readings[1].top][:2] == [-0.3, -1.6]
        assert all(len(each.top) == 3 for each in told.readings)
        assert told.deferred == "low_confidence"
        judged = await on.traces.judgement()
        assert (judged.by, judged.agreement) == ("verification", 0.5)


async def test_costs_and_tokens_are_those_of_the_calls_and_not_of_the_answer() -> None:
    priced = {"price": {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 10.0}}
    async with verifying(teacher=priced) as on:
        before = await on.metric("tutelage_tokens_total", upstream="teacher", direction="output")
        on.student.script(draft("The", " answer", " is", " 41"))
        on.teacher.script(Say(*ANSWER))

        answer = await on.ask(**GREEDY)

        trace, told = await on.traces.exchange(), await traced(on)
        prompt = answer.json()["usage"]["prompt_tokens"]
        assert told.read_tokens == (prompt + 5) + (prompt + 3)
        assert told.written_tokens == 1 + 3
        assert trace.cost_usd == pytest.approx((told.read_tokens + 10 * told.written_tokens) / 1e6)
        after = await on.metric("tutelage_tokens_total", upstream="teacher", direction="output")
        assert after - before == 4
        assert await on.metric("tutelage_fallbacks_total", how="verify", reason="low_confidence")
        assert await on.metric("tutelage_verified_tokens_total", outcome="rejected") == 2
        assert await on.metric("tutelage_verifications_total", outcome="continued") == 1
        assert await on.metric("tutelage_requests_total", served_by="both", reason="verified")


async def test_a_teacher_that_cannot_read_is_asked_to_write() -> None:
    async with verifying() as on:
        on.student.script(draft("The", " answer"))
        on.teacher.script(Status(500), Say(*ANSWER))

        answer = await on.ask(**GREEDY)

        assert answer.json()["choices"][0]["message"]["content"] == "The answer is 42."
        assert (await traced(on)).ending is Ending.FAILED


async def test_a_teacher_that_is_gone_leaves_the_student_to_answer() -> None:
    async with verifying() as on:
        on.student.script(draft("The", " answer"))
        await on.teacher.close()

        answer = await on.ask(**GREEDY)

        assert answer.json()["choices"][0]["message"]["content"] == "The answer"
        assert answer.headers["x-tutelage-served-by"] == "student"
        assert answer.headers["x-tutelage-reason"] == "teacher_unavailable"
        assert "token_ids" not in answer.text


async def test_a_continuation_that_breaks_ends_the_stream_loudly() -> None:
    async with verifying(window=2) as on:
        on.student.script(draft("The", " answer", " is"))
        on.teacher.script(Say(*ANSWER), Cut(after=1, of=Say(*ANSWER)))

        _, events = await on.events(**GREEDY)

        assert "error" in events[-1]
        assert "[DONE]" not in events


async def test_a_confident_student_is_asked_for_its_ids_and_tells_the_client_none() -> None:
    async with verifying(window=2) as on:
        on.student.script(Say(*ANSWER))

        whole, (_, events) = await on.ask(**GREEDY), await on.events(**GREEDY)

        assert whole.headers["x-tutelage-reason"] == "confident"
        assert "token_ids" not in whole.text + "".join(events)
        assert text(events) == "The answer is 42."
        assert on.student.requests[0].body["return_token_ids"] is True
        assert not on.teacher.requests
        assert (await on.traces.exchange()).verification is None


async def test_text_completions_are_verified_in_their_own_form() -> None:
    async with verifying(window=3) as on:
        on.student.script(draft(*ANSWER[:3], " 41"))
        on.teacher.script(Say(*ANSWER))
        body = {"model": "support", "prompt": [3], "max_tokens": 20, **GREEDY}

        whole = await on.http.post("/v1/completions", json=body)
        async with on.http.stream("POST", "/v1/completions", json=body | {"stream": True}) as told:
            lines = [line async for line in told.aiter_lines() if line]

        chunks = [_json(line.removeprefix("data: ")) for line in lines[:-1]]
        assert whole.json()["choices"][0]["text"] == "The answer is 42."
        assert whole.json()["object"] == "text_completion"
        assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "The answer is 42."
        assert whole.headers["x-tutelage-reason"] == told.headers["x-tutelage-reason"] == "verified"


async def test_the_pair_is_examined_once_at_the_first_deferral() -> None:
    async with verifying(settled=False) as on:
        on.student.script(draft("fine"))
        on.teacher.script(Say("fine"))

        first, second = await on.ask(**GREEDY), await on.ask(**GREEDY)

        assert first.headers["x-tutelage-reason"] == "verified"
        assert second.headers["x-tutelage-reason"] == "verified"
        assert len(on.student.requests) == 3
        assert len(on.teacher.requests) == 4
        assert "/tokenize" in {each.path for each in on.teacher.probes}


@pytest.mark.parametrize("role", ["small", "large"])
async def test_engines_that_tell_no_ids_are_answered_anew_and_not_asked_again(role: str) -> None:
    started: dict[str, Any] = {role: {"flavour": "llamacpp"}}
    async with verifying(settled=False, **started) as on:
        on.student.script(draft("fine"))
        on.teacher.script(Say(*ANSWER))

        first, second = await on.ask(**GREEDY), await on.ask(**GREEDY)

        told = (await on.traces.exchange(2)).verification
        assert first.headers["x-tutelage-reason"] == "low_confidence"
        assert second.headers["x-tutelage-reason"] == "low_confidence"
        assert told is not None
        assert told.ending is Ending.UNFIT
        assert "tells no token ids" in told.why_not
        assert len(on.teacher.requests) <= 3
