"""Every fault in the table of serving.scripts happens on the wire as its name says."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from serving import scripts
from serving.scripted_engine import ScriptedEngine
from serving.scripts import (
    Behaviour,
    Choices,
    Cut,
    Drip,
    ErrorEvent,
    Events,
    Say,
    Status,
    Truncated,
    WrongType,
    content_filtered,
    error_object,
    flapping,
    html_page,
    malformed_json,
    malformed_sse,
    rate_limited,
    unfinished,
)

CHAT = "/chat/completions"
ASK: dict[str, Any] = {"model": "student", "messages": [{"role": "user", "content": "hi"}]}
STREAM = ASK | {"stream": True}
OTHERS: dict[str, dict[str, Any]] = {
    "/completions": {"model": "student", "prompt": "hi"},
    "/responses": {"model": "student", "input": "hi"},
    "/embeddings": {"model": "student", "input": "hi"},
}


@pytest.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    async with ScriptedEngine(model="student") as engine:
        yield engine


@pytest.fixture
async def client(engine: ScriptedEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=engine.base_url, trust_env=False) as client:
        yield client


async def read(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> tuple[str, str]:
    """What was read, and the name of the error that ended it, if one did."""
    got, raised = "", ""
    try:
        async with client.stream("POST", path, json=body) as response:
            async for piece in response.aiter_raw():
                got += piece.decode(errors="replace")
    except httpx.TransportError as error:
        raised = type(error).__name__
    return got, raised


def test_the_table_names_every_constructor() -> None:
    named = set(re.findall(r"`\*?(\w+)\(", scripts.__doc__ or ""))
    made = {name for name in scripts.__all__ if name[0].islower()}

    assert made <= named
    assert named >= {"Status", "Reset", "Hang", "Cut", "Truncated", "Drip", "WrongType"}


# Statuses


async def test_too_many_requests_come_with_and_without_a_time_to_come_back(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(rate_limited("2"), rate_limited())

    first, second = [await client.post(CHAT, json=ASK) for _ in range(2)]

    assert first.status_code == second.status_code == 429
    assert first.headers["retry-after"] == "2"
    assert "retry-after" not in second.headers


async def test_a_content_filter_says_so_in_its_code(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(content_filtered())

    answer = await client.post(CHAT, json=ASK)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "content_filter"


@pytest.mark.parametrize("code", [200, 502])
async def test_a_page_of_html_has_any_status(
    engine: ScriptedEngine, client: httpx.AsyncClient, code: int
) -> None:
    engine.script(html_page(code))

    answer = await client.post(CHAT, json=STREAM)

    assert answer.status_code == code
    assert answer.headers["content-type"] == "text/html"
    assert answer.text.startswith("<html>")


async def test_an_engine_that_flaps_fails_and_answers_in_turn(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(*flapping(2, bad=Status(500)))

    codes = [(await client.post(CHAT, json=ASK)).status_code for _ in range(5)]

    assert codes == [500, 200, 500, 200, 200]


@pytest.mark.parametrize(
    ("flavour", "kind"), [("vllm", "BadRequestError"), ("llamacpp", "exceed_context_size_error")]
)
async def test_a_context_that_is_too_small_is_refused_in_the_engines_own_words(
    flavour: Any, kind: str
) -> None:
    long = {"messages": [{"role": "user", "content": "word " * 100}]}
    async with (
        ScriptedEngine(model="student", flavour=flavour, context_tokens=64) as engine,
        httpx.AsyncClient(base_url=engine.base_url, trust_env=False) as client,
    ):
        answer = await client.post(CHAT, json=ASK | long)

    assert answer.status_code == answer.json()["error"]["code"] == 400
    assert answer.json()["error"]["type"] == kind
    assert engine.journal == ["student refused 400"]


# Bodies that are not what they should be


@pytest.mark.parametrize(
    ("script", "whole", "streamed"),
    [
        (
            malformed_json(1),
            r"^\{[^}]*$",
            r'"All".*\n\ndata: \{"choices": \[.{1,30}\n\ndata: .*DONE',
        ),
        (malformed_sse(1), "not an event", "(?s)All.*not an event.*nor this.*DONE"),
        (error_object("no memory"), '^{"error".*no memory', '^{"error".*no memory'),
        (WrongType(), r"(?s)^data: .*\[DONE\]", '^{"id".*"chat.completion"'),
        (Events({"a": 1}, "b"), "", r'^data: {"a":1}\n\ndata: b\n\ndata: \[DONE\]\n\n$'),
    ],
)
async def test_a_body_is_wrong_as_scripted(
    engine: ScriptedEngine,
    client: httpx.AsyncClient,
    script: Behaviour,
    whole: str,
    streamed: str,
) -> None:
    engine.script(script)

    for body, expected in ((ASK, whole), (STREAM, streamed)):
        got, raised = await read(client, CHAT, body)
        assert re.search(expected, got, re.DOTALL), got
        assert not raised


async def test_an_answer_may_never_say_why_it_ended(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(unfinished("a", "b"))

    got, _ = await read(client, CHAT, STREAM)

    assert got.endswith("data: [DONE]\n\n")
    assert '"finish_reason":"' not in got
    assert (await client.post(CHAT, json=ASK)).json()["choices"][0]["finish_reason"] is None


# Bodies that end too early


async def test_a_whole_body_is_shorter_than_promised(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Truncated(missing_bytes=7))

    got, raised = await read(client, CHAT, ASK)

    assert raised == "RemoteProtocolError"
    assert got.startswith('{"id"')
    assert engine.journal == ["student called", "student cut after 0"]


@pytest.mark.parametrize("script", [Truncated(), Cut(after=4, clean=False)])
async def test_the_chunks_of_a_body_are_cut(
    engine: ScriptedEngine, client: httpx.AsyncClient, script: Behaviour
) -> None:
    engine.script(script)

    got, raised = await read(client, CHAT, STREAM)

    assert raised == "RemoteProtocolError"
    assert got.endswith("\n\n")
    assert "[DONE]" not in got
    assert engine.journal == ["student called", "student cut after 4"]


# Errors inside a stream


@pytest.mark.parametrize("flavour", ["vllm", "llamacpp"])
async def test_an_error_in_a_stream_reads_as_the_engine_writes_it(flavour: Any) -> None:
    async with (
        ScriptedEngine(model="student", flavour=flavour) as engine,
        httpx.AsyncClient(base_url=engine.base_url, trust_env=False) as client,
    ):
        engine.script(ErrorEvent(after=2, message="no memory"))
        got, _ = await read(client, CHAT, STREAM)
        whole = await client.post(CHAT, json=ASK)

    data = [line.removeprefix("data: ") for line in got.split("\n\n") if line]
    (error,) = [json.loads(each)["error"] for each in data if '"error"' in each]
    assert (error["message"], error["code"]) == ("no memory", 500)
    assert (data[-1] == "[DONE]") == (flavour == "vllm")
    assert whole.status_code == 500
    assert engine.journal[1] == "student failed after 2"


@pytest.mark.parametrize(("failed", "kind"), [(False, "error"), (True, "response.failed")])
async def test_an_error_in_a_response_is_a_typed_event(
    engine: ScriptedEngine, client: httpx.AsyncClient, *, failed: bool, kind: str
) -> None:
    engine.script(ErrorEvent(after=1, failed=failed))

    got, _ = await read(client, "/responses", OTHERS["/responses"] | {"stream": True})

    last = got.strip().split("\n\n")[-1]
    assert last.startswith(f"event: {kind}\ndata: ")
    assert json.loads(last.partition("data: ")[2])["type"] == kind


# Slowness


async def test_a_drip_comes_in_pieces_each_when_it_is_let(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Drip(bytes_at_a_time=9))
    pieces: list[bytes] = []
    async with client.stream("POST", CHAT, json=ASK) as response:
        raw = response.aiter_raw()
        for _ in range(3):
            await engine.paused()
            engine.resume()
            pieces.append(await anext(raw))
        engine.resume(1000)
        rest = b"".join([piece async for piece in raw])

    assert [len(piece) for piece in pieces] == [9, 9, 9]
    assert json.loads(b"".join(pieces) + rest)["choices"][0]["message"]["content"]


async def test_tokens_drip_one_by_one(engine: ScriptedEngine, client: httpx.AsyncClient) -> None:
    engine.script(Say("a", "b", pause_each=True))
    seen = ""
    async with client.stream("POST", CHAT, json=STREAM) as response:
        raw = response.aiter_text()
        for token in ("a", "b"):
            await engine.paused()
            assert f'"content":"{token}"' not in seen
            engine.resume()
            while f'"content":"{token}"' not in seen:
                seen += await anext(raw)


# Elsewhere than in chat


@pytest.mark.parametrize("path", list(OTHERS))
@pytest.mark.parametrize("flavour", ["vllm", "llamacpp"])
async def test_every_endpoint_answers_and_fails_as_scripted(flavour: Any, path: str) -> None:
    async with (
        ScriptedEngine(model="student", flavour=flavour) as engine,
        httpx.AsyncClient(base_url=engine.base_url, trust_env=False) as client,
    ):
        engine.script(Say("yes"), Status(503), Say("no"), Cut(after=1, clean=False))
        good, bad = [await client.post(path, json=OTHERS[path]) for _ in range(2)]
        got, _ = await read(client, path, OTHERS[path] | {"stream": True})
        _, raised = await read(client, path, OTHERS[path] | {"stream": True})

    assert (good.status_code, bad.status_code) == (200, 503)
    assert bad.json()["error"]["code"] == 503
    assert got
    assert raised == "RemoteProtocolError"
    assert [request.path for request in engine.requests] == [f"/v1{path}"] * 4


async def test_a_stored_response_is_a_probe(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    said = (await client.post("/responses", json=OTHERS["/responses"])).json()

    assert (await client.get(f"/responses/{said['id']}")).json() == said
    assert len(engine.requests) == len(engine.probes) == 1


async def test_choices_differ_as_scripted(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Choices(Say("a"), Say("b")))

    answer = (await client.post(CHAT, json=ASK | {"n": 2})).json()

    assert [each["message"]["content"] for each in answer["choices"]] == ["a", "b"]


async def test_the_body_is_kept_byte_for_byte(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    raw = b'{ "model":"student", "messages":[] ,"priority": 3, "new_field": 1e3}'

    await client.post(CHAT, content=raw)

    assert engine.requests[0].raw == raw
    assert engine.requests[0].body["priority"] == 3
