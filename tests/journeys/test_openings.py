"""A stream's trace keeps what its gate read up to the ruling, and none of its words."""

import math

import pytest

from serving.scripts import Say, Tok
from tests.journeys.rig import rig

pytestmark = pytest.mark.anyio

NATS = (math.log(0.99), math.log(0.9), math.log(0.8))
SAID = Say(*(Tok(word, nats) for word, nats in zip(("Paris", " is", " it"), NATS, strict=True)))


async def test_a_stream_keeps_the_tokens_that_its_window_held() -> None:
    async with rig(route={"gate": {"window_tokens": 2}}) as on:
        on.student.script(SAID)

        await on.events()

        kept = (await on.traces.exchange()).opening
        assert kept is not None
        assert (kept.window, kept.begun, kept.tokens) == (2, 0, 2)
        assert kept.places == (1, 2)
        assert kept.nats == pytest.approx(NATS[:2])


async def test_the_opening_rules_again_with_a_smaller_window() -> None:
    async with rig(route={"gate": {"window_tokens": 3}}) as on:
        on.student.script(SAID)

        await on.events()

        kept = (await on.traces.exchange()).opening
        assert kept is not None
        assert kept.ruled_at(1) == 1
        assert kept.read(1) == pytest.approx(NATS[:1])


async def test_a_whole_answer_has_no_opening() -> None:
    async with rig() as on:
        on.student.script(SAID)

        await on.ask()

        assert (await on.traces.exchange()).opening is None
