"""The scripted engine does what it was told, down to the socket, and its journal tells it."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from serving.scripted_engine import ScriptedEngine
from serving.scripts import (
    Behaviour,
    Cut,
    Echo,
    Events,
    Garbage,
    Hang,
    Json,
    Reset,
    Say,
    Status,
)

CHAT = "/chat/completions"
ASK: dict[str, Any] = {"model": "student", "messages": [{"role": "user", "content": "hi"}]}
STREAM = ASK | {"stream": True}


@pytest.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    async with ScriptedEngine(model="student") as engine:
        yield engine


@pytest.fixture
async def client(engine: ScriptedEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=engine.base_url, trust_env=False) as client:
        yield client


def events(sse: str) -> list[Any]:
    data = [event.removeprefix("data: ") for event in sse.split("\n\n") if event]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def text(sse: str) -> str:
    choices = [choice for event in events(sse)[:-1] for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [({"model": "nope"}, 404), ({"logprobs": True, "top_logprobs": 21}, 400), ({"n": "x"}, 400)],
)
async def test_a_refused_request_takes_nothing_from_the_script(
    engine: ScriptedEngine, client: httpx.AsyncClient, wrong: dict[str, Any], status: int
) -> None:
    engine.script(Say("first"), Say("second"))

    refused = await client.post(CHAT, json=ASK | wrong)
    answer = (await client.post(CHAT, json=ASK)).json()

    assert refused.status_code == refused.json()["error"]["code"] == status
    assert answer["choices"][0]["message"]["content"] == "first"
    assert engine.journal == [f"student refused {status}", "student called", "student finished"]


async def test_it_lists_its_model_tokenizes_and_says_that_it_is_healthy(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    root = engine.base_url.removesuffix("/v1")

    assert (await client.get("/models")).json()["data"][0]["id"] == "student"
    assert (await client.post(f"{root}/tokenize", json={"prompt": "a b"})).json()["count"] == 2
    assert (await client.get(f"{root}/health")).status_code == 200
    assert (await client.get(f"{root}/nowhere")).status_code == 404


# What is scripted happens, once each, and the journal tells it


async def test_each_request_takes_the_next_behaviour_and_the_last_repeats(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Say("1"), Status(503, headers={"retry-after": "7"}), Json({"own": "body"}))

    answers = [await client.post(CHAT, json=ASK) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 503, 200, 200]
    assert answers[1].headers["retry-after"] == "7"
    assert answers[1].json()["error"]["code"] == 503
    assert answers[3].json() == {"own": "body"}
    assert engine.journal[:4] == [
        "student called",
        "student finished",
        "student called",
        "student answered 503",
    ]


async def test_it_remembers_what_it_was_asked(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    await client.get("/models")
    await client.post(CHAT, json=ASK | {"seed": 3}, headers={"Authorization": "Bearer k"})

    (request,) = engine.requests
    assert request.body["seed"] == 3
    assert request.headers["authorization"] == "Bearer k"
    assert [probe.path for probe in engine.probes] == ["/v1/models"]


async def test_one_connection_serves_many_requests(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    for _ in range(5):
        await client.post(CHAT, json=ASK)
        await client.post(CHAT, json=STREAM)

    assert engine.connections == 1


async def test_engines_that_share_a_journal_write_one_story() -> None:
    journal: list[str] = []
    async with (
        ScriptedEngine(model="student", journal=journal) as student,
        ScriptedEngine(model="teacher", journal=journal) as teacher,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        await client.post(student.base_url + CHAT, json=ASK)
        await client.post(teacher.base_url + CHAT, json=ASK | {"model": "teacher"})

    assert journal == ["student called", "student finished", "teacher called", "teacher finished"]


async def test_a_pause_lasts_until_it_is_resumed(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Say("4", "1", pause_after=1))
    async with client.stream("POST", CHAT, json=STREAM) as response:
        await engine.paused()
        assert engine.in_flight == 1
        engine.resume()
        read = (await response.aread()).decode()

    assert text(read) == "41"
    assert engine.in_flight == 0


async def test_a_client_that_hangs_up_is_noticed_with_what_it_had_read(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Say("4", "1", "!", pause_after=2))
    async with client.stream("POST", CHAT, json=STREAM):
        await engine.paused()
    await engine.left()
    await engine.idle()

    assert engine.journal == ["student called", "student left after 2"]


async def test_a_client_that_gives_up_waiting_is_noticed(engine: ScriptedEngine) -> None:
    engine.script(Hang())
    brief = httpx.AsyncClient(base_url=engine.base_url, timeout=0.05, trust_env=False)
    async with brief:
        with pytest.raises(httpx.ReadTimeout):
            await brief.post(CHAT, json=ASK)
        await engine.left()

    assert engine.journal == ["student called", "student left after 0"]


@pytest.mark.parametrize(
    ("fault", "read", "error"),
    [
        (Reset(), None, httpx.ReadError),
        (Reset(after=2), "All is", httpx.ReadError),
        (Cut(after=2), "All is", None),
        (Cut(after=2, clean=False), "All is", httpx.RemoteProtocolError),
        (Garbage(b"not HTTP at all\r\n\r\n"), None, httpx.RemoteProtocolError),
    ],
)
async def test_a_fault_breaks_the_stream_where_it_was_scripted(
    engine: ScriptedEngine,
    client: httpx.AsyncClient,
    fault: Behaviour,
    read: str | None,
    error: type[Exception] | None,
) -> None:
    engine.script(fault)
    got: list[str] = []
    raised: type[Exception] | None = None
    try:
        async with client.stream("POST", CHAT, json=STREAM) as response:
            async for chunk in response.aiter_text():
                got.append(chunk)  # noqa: PERF401  what was read before a fault counts
    except httpx.TransportError as failure:
        raised = type(failure)

    assert raised is error
    assert (text("".join(got) + "data: [DONE]\n\n") if got else None) == read
    assert "[DONE]" not in "".join(got)


async def test_a_hang_after_some_tokens_sends_those_and_then_nothing(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Hang(after=2, of=Say("4", "1", "!")))
    got = ""
    async with client.stream("POST", CHAT, json=STREAM) as response:
        async for chunk in response.aiter_text():
            got += chunk
            if got.count("data: ") == 3:  # the role chunk and two tokens
                break
    await engine.left()

    assert engine.journal == ["student called", "student left after 2"]


async def test_garbage_after_the_headers_is_the_body(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Garbage(b"data: {broken\n\n", after_headers=True))

    response = await client.post(CHAT, json=STREAM)

    assert response.content == b"data: {broken\n\n"
    assert response.headers["content-type"].startswith("text/event-stream")


async def test_events_are_streamed_as_they_were_scripted(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Events({"choices": []}, "not json"))

    assert (await client.post(CHAT, json=STREAM)).text == (
        'data: {"choices":[]}\n\ndata: not json\n\ndata: [DONE]\n\n'
    )


async def test_a_closed_engine_refuses_and_comes_back_on_the_same_port() -> None:
    engine = ScriptedEngine(model="student")
    await engine.start()
    url = engine.base_url + CHAT
    async with httpx.AsyncClient(trust_env=False) as client:
        await engine.close()
        with pytest.raises(httpx.ConnectError):
            await client.post(url, json=ASK)
        await engine.start()
        assert (await client.post(url, json=ASK)).status_code == 200
        await engine.close()


async def test_closing_drops_an_answer_that_hangs() -> None:
    engine = ScriptedEngine(model="student")
    engine.script(Hang(after=0))
    await engine.start()
    async with (
        httpx.AsyncClient(base_url=engine.base_url, trust_env=False) as client,
        client.stream("POST", CHAT, json=STREAM) as response,
    ):
        await engine.close()
        with pytest.raises(httpx.TransportError):
            await response.aread()

    assert engine.journal == ["student called"]
    assert engine.in_flight == 0


def test_an_echo_is_as_sure_the_second_time_as_the_first() -> None:
    doubts = [Echo(seed=7).say(f"question {n}").tokens[0].logprob for n in range(100)]

    assert doubts == [Echo(seed=7).say(f"question {n}").tokens[0].logprob for n in range(100)]
    assert 10 < sum(doubt < -0.5 for doubt in doubts) < 45
    assert "".join(token.text for token in Echo().say("a b").tokens) == "You said: a b"


def test_it_runs_as_a_program_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "serving.scripted_engine", "--port", "0", "--token-delay-s=0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        base_url = program.stderr.readline().split(" on ")[1].split(";")[0]
        answer = httpx.post(base_url + CHAT, json=ASK, trust_env=False).json()
        program.send_signal(signal.SIGTERM)

    assert answer["choices"][0]["message"]["content"] == "You said: hi"
    assert program.returncode == 0
