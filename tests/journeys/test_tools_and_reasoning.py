"""What the student is sure of: its arguments and its answer, not the template and the thoughts."""

import math
from typing import Any

import pytest

from serving.scripts import Choices, Say, Tok, ToolCall
from tests.journeys.rig import SURE, UNSURE, rig

pytestmark = pytest.mark.anyio

TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


def calling(*arguments: Tok | str) -> Say:
    return Say("Let me see.", tool_calls=(ToolCall("weather", arguments),))


@pytest.mark.parametrize("streams", [False, True])
async def test_a_doubtful_argument_is_not_vouched_for_by_the_call_around_it(
    *, streams: bool
) -> None:
    async with rig() as on:
        on.student.script(calling('{"city', '": "', Tok("Paris", UNSURE), '"}'))

        if streams:
            response, _ = await on.events(tools=TOOLS)
        else:
            response = await on.ask(tools=TOOLS)

        assert response.headers["x-tutelage-reason"] == "low_confidence"
        assert float(response.headers["x-tutelage-confidence"]) < math.exp(UNSURE / 3)


@pytest.mark.parametrize("streams", [False, True])
async def test_nor_does_a_doubtful_template_condemn_a_sure_argument(*, streams: bool) -> None:
    async with rig() as on:
        on.student.script(calling(Tok('{"city', UNSURE), Tok('": "', UNSURE), "Paris", '"}'))

        if streams:
            response, events = await on.events(tools=TOOLS)
            assert events[-1] == "[DONE]"
        else:
            response = await on.ask(tools=TOOLS)

        assert response.headers["x-tutelage-reason"] == "confident"


@pytest.mark.parametrize("streams", [False, True])
async def test_doubts_while_thinking_are_not_doubts_of_the_answer(*, streams: bool) -> None:
    async with rig(route={"gate": {"window_tokens": 2}}) as on:
        on.student.script(Say("It", " is", " Paris", reasoning=(Tok("Hm", UNSURE),) * 9))

        if streams:
            response, events = await on.events()
            assert events[-1] == "[DONE]"
        else:
            response = await on.ask()

        assert response.headers["x-tutelage-reason"] == "confident"
        assert float(response.headers["x-tutelage-confidence"]) == pytest.approx(
            math.exp(SURE), abs=1e-3
        )


async def test_a_trace_keeps_the_confidence_of_each_choice() -> None:
    async with rig() as on:
        on.student.script(Choices(Say("Paris"), Say("London", logprob=UNSURE)))

        await on.ask(n=2)

        exchange = await on.traces.exchange()
        assert exchange.confidences == pytest.approx((math.exp(SURE), math.exp(UNSURE)))
        assert exchange.confidence == min(filter(None, exchange.confidences))
