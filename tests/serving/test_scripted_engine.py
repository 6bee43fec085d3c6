"""The scripted engine says what vLLM said, and misbehaves exactly as told."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.scripted_engine import ScriptedEngine
from serving.scripts import (
    SURE,
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
    Tok,
)

GOLDEN = Path(__file__).parent.parent / "golden" / "vllm-0.32"
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


# Shapes: a recording, turned into a script, comes back as it was recorded


def script_of(entries: list[Any], finish_reason: str) -> Say:
    tokens = [
        Tok(
            entry["token"],
            entry["logprob"],
            tuple((other["token"], other["logprob"]) for other in entry["top_logprobs"][1:]),
        )
        for entry in entries
    ]
    return Say(*tokens[:-1], end=tokens[-1]) if finish_reason == "stop" else Say(*tokens)


def anonymous(answer: Any) -> str:  # noqa: ANN401  parsed JSON
    """JSON in its order of keys, without what is made up anew for every answer."""
    if isinstance(answer, dict):
        blanks = {"id", "created", "model", "system_fingerprint", "prompt_tokens", "total_tokens"}
        answer = {key: "…" if key in blanks else value for key, value in answer.items()}
        if "usage" in answer:
            answer["usage"] = json.loads(anonymous(answer["usage"]))
    return json.dumps(answer)


@pytest.mark.parametrize(("ending", "max_tokens"), [("stop", 40), ("length", 12)])
async def test_a_stream_is_chunk_for_chunk_what_vllm_recorded(
    engine: ScriptedEngine, client: httpx.AsyncClient, ending: str, max_tokens: int
) -> None:
    recorded = events((GOLDEN / f"chat_stream_{ending}.sse").read_text(encoding="utf-8"))
    spoken = [chunk["choices"][0]["logprobs"]["content"][0] for chunk in recorded[1:-2]]
    engine.script(script_of(spoken, ending))
    wishes = {"logprobs": True, "top_logprobs": 3, "stream_options": {"include_usage": True}}

    response = await client.post(CHAT, json=STREAM | wishes | {"max_tokens": max_tokens})

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [anonymous(e) for e in events(response.text)] == [anonymous(e) for e in recorded]


@pytest.mark.parametrize(("ending", "max_tokens"), [("stop", 40), ("length", 12)])
async def test_a_whole_answer_is_what_vllm_recorded(
    engine: ScriptedEngine, client: httpx.AsyncClient, ending: str, max_tokens: int
) -> None:
    recorded = json.loads((GOLDEN / f"chat_logprobs_{ending}.json").read_text(encoding="utf-8"))
    engine.script(script_of(recorded["choices"][0]["logprobs"]["content"], ending))
    wishes = {"logprobs": True, "top_logprobs": 5, "max_tokens": max_tokens}

    response = await client.post(CHAT, json=ASK | wishes)

    assert anonymous(response.json()) == anonymous(recorded)


async def test_three_choices_have_the_recorded_shape(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    recorded = json.loads((GOLDEN / "chat_n3.json").read_text(encoding="utf-8"))

    answer = (await client.post(CHAT, json=ASK | {"n": 3})).json()

    assert list(answer) == list(recorded)
    assert [list(c) for c in answer["choices"]] == [list(c) for c in recorded["choices"]]
    assert [c["index"] for c in answer["choices"]] == [0, 1, 2]
    assert answer["usage"]["completion_tokens"] == 3 * 5


async def test_the_model_list_has_the_recorded_shape(client: httpx.AsyncClient) -> None:
    recorded = json.loads((GOLDEN / "models.json").read_text(encoding="utf-8"))

    listed = (await client.get("/models")).json()

    assert list(listed["data"][0]) == list(recorded["data"][0])
    assert listed["data"][0]["id"] == "student"
    assert list(listed["data"][0]["permission"][0]) == list(recorded["data"][0]["permission"][0])


@pytest.mark.parametrize(
    ("wrong", "status", "recording"),
    [
        ({"model": "nope"}, 404, "error_unknown_model.json"),
        ({"logprobs": True, "top_logprobs": 21}, 400, "error_top_logprobs.json"),
    ],
)
async def test_a_refusal_is_vllms_with_its_integer_code(
    engine: ScriptedEngine,
    client: httpx.AsyncClient,
    wrong: dict[str, Any],
    status: int,
    recording: str,
) -> None:
    recorded = (GOLDEN / recording).read_text(encoding="utf-8").replace("smol", "student")

    response = await client.post(CHAT, json=ASK | wrong)

    assert response.status_code == status
    assert response.text == recorded.strip()
    assert engine.journal == [f"student refused {status}"]


async def test_tokenize_has_the_recorded_shape(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    recorded = json.loads((GOLDEN / "tokenize.json").read_text(encoding="utf-8"))
    url = engine.base_url.removesuffix("/v1") + "/tokenize"

    answer = (await client.post(url, json={"prompt": "one two one"})).json()

    assert list(answer) == list(recorded)
    assert answer["count"] == 3
    assert answer["tokens"][0] == answer["tokens"][2] != answer["tokens"][1]


# What is asked decides what is said


async def test_logprobs_come_only_when_asked_for(client: httpx.AsyncClient) -> None:
    plain = (await client.post(CHAT, json=ASK)).json()
    asked = (await client.post(CHAT, json=ASK | {"logprobs": True, "top_logprobs": 2})).json()

    assert plain["choices"][0]["logprobs"] is None
    assert [len(t["top_logprobs"]) for t in asked["choices"][0]["logprobs"]["content"]] == [2] * 5


async def test_an_engine_may_withhold_the_logprobs_it_was_asked_for(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Say("4", logprobs=False))

    answer = (await client.post(CHAT, json=ASK | {"logprobs": True})).json()

    assert answer["choices"][0]["logprobs"] is None


async def test_made_up_alternatives_never_exceed_the_mass_that_is_left(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Say(Tok("4", -4.0), Tok("1", SURE)))

    answer = (await client.post(CHAT, json=ASK | {"logprobs": True, "top_logprobs": 20})).json()

    for token in answer["choices"][0]["logprobs"]["content"]:
        probabilities = [2.718281828 ** other["logprob"] for other in token["top_logprobs"]]
        assert sum(probabilities) <= 1.0
        assert len({other["token"] for other in token["top_logprobs"]}) == 20


async def test_usage_is_streamed_only_when_asked_for(client: httpx.AsyncClient) -> None:
    plain = events((await client.post(CHAT, json=STREAM)).text)

    assert all("usage" not in event for event in plain[:-1])


async def test_a_stop_string_ends_the_answer_before_itself(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Say("one", " two", " three"))

    whole = (await client.post(CHAT, json=ASK | {"stop": [" t"]})).json()["choices"][0]
    streamed = (await client.post(CHAT, json=STREAM | {"stop": "wo th"})).text

    assert (whole["message"]["content"], whole["finish_reason"]) == ("one", "stop")
    assert whole["stop_reason"] == " t"
    assert text(streamed) == "one t"


async def test_max_tokens_ends_the_answer_with_length(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.script(Say("one", " two", " three"))

    answer = (await client.post(CHAT, json=ASK | {"max_tokens": 2})).json()

    assert answer["choices"][0]["message"]["content"] == "one two"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


async def test_an_echo_is_as_sure_the_second_time_as_the_first() -> None:
    doubts = [Echo(seed=7).say(f"question {n}").tokens[0].logprob for n in range(100)]

    assert doubts == [Echo(seed=7).say(f"question {n}").tokens[0].logprob for n in range(100)]
    assert 10 < sum(doubt < -0.5 for doubt in doubts) < 45
    assert "".join(t.text for t in Echo().say("a b").tokens) == "You said: a b"


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


def test_it_runs_as_a_program_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "serving.scripted_engine", "--port", "0", "--token-delay-s=0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        base_url = program.stderr.readline().split(" on ")[1].split(";")[0]
        answer = httpx.post(base_url + CHAT, json=ASK, trust_env=False).json()
        program.send_signal(signal.SIGTERM)

    assert answer["choices"][0]["message"]["content"] == "You said: hi"
    assert program.returncode == 0
