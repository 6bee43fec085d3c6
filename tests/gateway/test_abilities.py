"""What doctor finds by asking, of scripted engines that can and that cannot."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gateway.abilities import Abilities, Lacking
from serving.say import Drafted
from serving.scripted_engine import Flavour, ScriptedEngine
from serving.scripts import Say, Status, ToolCall

pytestmark = pytest.mark.anyio

Ask = Callable[[Abilities], Any]


async def asked(engine: ScriptedEngine, ask: Ask) -> Any:
    """In a thread of its own, for the engine lives in this one; pauses let the engine go on."""
    loop = asyncio.get_running_loop()

    def pause(_seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(engine.idle(), loop).result(30)

    def run() -> Any:
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=engine.base_url, timeout=30, limits=limits) as client:
            return ask(Abilities(engine.model, client, pause=pause))

    return await asyncio.to_thread(run)


async def lacking(engine: ScriptedEngine, ask: Ask) -> str:
    with pytest.raises(Lacking) as found:
        await asked(engine, ask)
    return str(found.value)


@pytest.mark.parametrize(
    ("script", "ask", "seen"),
    [
        (Say("yes"), Abilities.logprobs_depth, "20 alternatives a token"),
        (Say("yes"), Abilities.token_ids, "of prompt and answer"),
        (Say("yes"), Abilities.prefill, "goes on from the beginning of an answer"),
        (Say('{"yes": ', "true}"), Abilities.schema, "kept"),
        (
            Say("yes", drafted=Drafted(steps=2, tokens=8, accepted=6)),
            Abilities.drafts,
            "6 of 8 drafted tokens accepted",
        ),
        (Say(tool_calls=(ToolCall("wait", '{"seconds": 1}'),)), Abilities.tool_call, "wait("),
    ],
)
async def test_what_an_engine_can_is_found(script: Say, ask: Ask, seen: str) -> None:
    async with ScriptedEngine(model="m") as engine:
        engine.script(script)

        assert str(await asked(engine, ask)).startswith(seen)


@pytest.mark.parametrize(
    ("script", "ask", "said"),
    [
        (Say("yes", logprobs=False), Abilities.logprobs_depth, "no alternatives to any token"),
        (Say("yes"), Abilities.drafts, "answers tell of no drafted tokens"),
        (Say("Yes", "."), Abilities.schema, "a schema was asked for, and 'Yes.' came"),
        (Say("[1]"), Abilities.schema, "a schema was asked for"),
        (Say("Waiting", "."), Abilities.tool_call, "one was required, none came"),
        (Say(tool_calls=(ToolCall("wait", '"wai"'),)), Abilities.tool_call, "no JSON object"),
        (Say("yes"), Abilities.prompt_logprobs, "asked for, none came"),
        (
            Status(400, {"error": {"message": "tools need a parser"}}),
            Abilities.tool_call,
            "status 400: tools need a parser",
        ),
    ],
)
async def test_what_an_engine_cannot_is_told_with_what_came_instead(
    script: Say | Status, ask: Ask, said: str
) -> None:
    async with ScriptedEngine(model="m") as engine:
        engine.script(script)

        assert said in await lacking(engine, ask)


async def test_fewer_alternatives_are_found_where_more_are_refused() -> None:
    async with ScriptedEngine(model="m") as engine:
        engine.script(Status(400, {"error": {"message": "at most 5"}}), Say("yes"))

        assert await asked(engine, Abilities.logprobs_depth) == "5 alternatives a token"


@pytest.mark.parametrize("flavour", ["vllm", "llamacpp"])
async def test_both_engines_tell_how_they_cut_a_text(flavour: Flavour) -> None:
    async with ScriptedEngine(model="m", flavour=flavour) as engine:
        assert len(await asked(engine, Abilities.cuts)) > 5


@pytest.mark.parametrize("flavour", ["vllm", "llamacpp"])
async def test_an_engine_that_a_hang_up_frees_is_seen_to_be_free(flavour: Flavour) -> None:
    async with ScriptedEngine(model="m", flavour=flavour) as engine:
        engine.script(Say("one", "two", pause_after=1))

        assert str(await asked(engine, Abilities.hang_up)).startswith("frees it within")
        assert "m left after 1" in engine.journal


async def test_an_answer_that_is_over_at_once_shows_nothing() -> None:
    async with ScriptedEngine(model="m") as engine:
        engine.script(Say("one"))

        assert "over at once" in await lacking(engine, Abilities.hang_up)


async def test_an_engine_without_metrics_shows_nothing() -> None:
    async with ScriptedEngine(model="m") as engine:
        engine.script(Say("one"))

        def elsewhere(abilities: Abilities) -> str:
            abilities._root += "/nowhere"
            return abilities.hang_up()

        assert "does not count its running requests" in await lacking(engine, elsewhere)
