"""The embedded default as users meet it: `tutelage up`, two real models, the official client."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pydantic
import pytest
from openai import AsyncOpenAI, OpenAI

from serving.home import Home
from serving.ports import pick_free_port
from serving.roster import Roster, RosterFile
from serving.triage.dataset import Split, load
from serving.triage.task import messages, parse_answer
from tests.serving.waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.anyio]

TEXTS = [item.text for item in load(Split.CALIBRATION)[:16]]
SCHEMA = {
    "type": "object",
    "properties": {
        "sentiment": {"enum": ["negative", "neutral", "positive"]},
        "intensity": {"enum": [0, 1, 2, 3, 4]},
    },
    "required": ["sentiment", "intensity"],
    "additionalProperties": False,
}
GREEDY: dict[str, Any] = {"model": "triage", "temperature": 0, "max_tokens": 24}


class Running:
    """`tutelage up --no-tour` on a port of its own, with the user's models."""

    def __init__(self, output: Path) -> None:
        self.port = pick_free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._output = output
        command = [sys.executable, "-m", "gateway.commands", "up", "--no-tour"]
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)], stdout=file, stderr=subprocess.STDOUT
            )

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.said or self.process.poll() is not None, within_s=150)
        assert text in self.said, self.said

    @property
    def said(self) -> str:
        return self._output.read_text()

    def roster(self) -> RosterFile:
        files = Roster(Home.of(os.environ).run).read()
        return next(file for file in files if file.up_pid == self.process.pid)

    def kill_engine(self, name: str) -> None:
        (pid,) = (engine.pid for engine in self.roster().engines if engine.name == name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def wait_ready(self, name: str) -> None:
        until(
            lambda: any(
                engine.name == name and engine.state == "ready" for engine in self.roster().engines
            ),
            within_s=60,
        )


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("up") / "output.txt")
    try:
        running.wait_for("until Ctrl-C")
        yield running
    finally:
        running.process.send_signal(signal.SIGINT)
        running.process.wait()


def ask(up: Running, text: str, **more: Any) -> httpx.Response:
    body = {**GREEDY, "messages": messages(text), **more}
    return httpx.post(f"{up.url}/chat/completions", json=body, timeout=60)


def test_the_official_client_reads_an_answer_and_who_gave_it(up: Running) -> None:
    with OpenAI(base_url=up.url, api_key="none", max_retries=0) as client:
        chat: Any = messages(TEXTS[0])
        raw = client.chat.completions.with_raw_response.create(messages=chat, **GREEDY)

    content = raw.parse().choices[0].message.content
    assert content is not None
    parse_answer(content)
    assert raw.headers["x-tutelage-served-by"] in {"student", "teacher"}
    assert 0 < float(raw.headers["x-tutelage-confidence"]) <= 1
    assert raw.parse().choices[0].logprobs is None


async def test_the_official_async_client_streams_what_it_would_have_read_whole(up: Running) -> None:
    async with AsyncOpenAI(base_url=up.url, api_key="none", max_retries=0) as client:
        chat: Any = messages(TEXTS[1])
        whole = await client.chat.completions.create(messages=chat, **GREEDY)
        stream = await client.chat.completions.create(messages=chat, stream=True, **GREEDY)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "".join(pieces) == whole.choices[0].message.content


def test_a_stream_says_who_answers_before_its_first_byte(up: Running) -> None:
    body = {**GREEDY, "messages": messages(TEXTS[2]), "stream": True}
    with httpx.stream("POST", f"{up.url}/chat/completions", json=body, timeout=60) as response:
        assert response.headers["x-tutelage-served-by"] in {"student", "teacher"}
        lines = [line for line in response.iter_lines() if line]

    assert lines[-1] == "data: [DONE]"
    assert all(json.loads(line[6:])["choices"] for line in lines[:-1])


def test_both_models_answer_and_the_gate_tells_them_apart(up: Running) -> None:
    answers = [ask(up, text) for text in TEXTS]

    served_by = {answer.headers["x-tutelage-served-by"] for answer in answers}
    assert served_by == {"student", "teacher"}
    for answer in answers:
        parse_answer(answer.json()["choices"][0]["message"]["content"])


def test_the_wish_for_a_schema_and_for_logprobs_is_kept(up: Running) -> None:
    wishes = {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "triage", "schema": SCHEMA},
        },
        "logprobs": True,
        "top_logprobs": 2,
    }
    (choice,) = ask(up, TEXTS[3], **wishes).json()["choices"]

    parse_answer(choice["message"]["content"])
    assert all(len(token["top_logprobs"]) == 2 for token in choice["logprobs"]["content"])


class Triage(pydantic.BaseModel):
    """The answer, as an app declares it."""

    sentiment: Literal["negative", "neutral", "positive"]
    intensity: Literal[0, 1, 2, 3, 4]


@pytest.mark.parametrize("model", ["triage", "triage:student", "triage:teacher"])
async def test_the_official_clients_helpers_read_the_real_models(up: Running, model: str) -> None:
    chat: Any = messages(TEXTS[5])
    async with AsyncOpenAI(base_url=up.url, api_key="none", max_retries=0) as client:
        asking = client.chat.completions.stream(
            **{**GREEDY, "model": model}, messages=chat, response_format=Triage
        )
        async with asking as stream:
            parsed = (await stream.get_final_completion()).choices[0].message.parsed
        told = client.responses.stream(model=model, input=chat, temperature=0, text_format=Triage)
        async with told as events:
            kinds = [event.type async for event in events]
            response = await events.get_final_response()

    assert isinstance(parsed, Triage)
    assert isinstance(response.output_parsed, Triage)
    if model != "triage":  # without a pin the teacher answers responses, for want of logprobs
        assert response.output_parsed == parsed
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")


@pytest.mark.parametrize(("engine", "survivor"), [("student", "teacher"), ("teacher", "student")])
def test_no_request_fails_when_an_engine_is_killed(up: Running, engine: str, survivor: str) -> None:
    before = [ask(up, text).status_code for text in TEXTS[:2]]
    up.kill_engine(engine)
    during = [ask(up, text) for text in TEXTS]
    up.wait_ready(engine)
    back = f"triage:{engine}"  # its circuit may still be open: a pinned request is the probe
    until(lambda: ask(up, TEXTS[0], model=back).status_code == 200, within_s=60)
    after = [ask(up, text) for text in TEXTS]

    assert before == [200, 200]
    assert {answer.status_code for answer in during} == {200}
    assert during[0].headers["x-tutelage-served-by"] == survivor
    assert {answer.headers["x-tutelage-served-by"] for answer in after} == {"student", "teacher"}


def test_what_went_through_is_in_the_traces(up: Running) -> None:
    answer = ask(up, TEXTS[4])
    trace_id = answer.headers["x-tutelage-trace-id"]

    def stored() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway.commands", "traces", "show", trace_id, "--json"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    until(lambda: stored().returncode == 0)
    assert trace_id in stored().stdout


def test_feedback_is_kept_with_the_trace_that_it_is_about(up: Running) -> None:
    trace_id = ask(up, TEXTS[0]).headers["x-tutelage-trace-id"]
    said = {"trace_id": trace_id, "score": 0.5, "comment": "hardly"}

    accepted = httpx.post(f"{up.url}/feedback", json=said, timeout=60)
    unknown = httpx.post(
        f"{up.url}/feedback", json={**said, "trace_id": trace_id[:-1] + "x"}, timeout=60
    )

    assert (accepted.status_code, unknown.status_code) == (200, 400)
