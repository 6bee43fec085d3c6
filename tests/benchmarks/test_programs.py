"""The two C programs, compiled and run against each other and against servers that misbehave."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from benchmarks.bodies import Size, body
from benchmarks.load import Demand, Heard, LoadGenerator
from benchmarks.mock import Mock, Pace
from benchmarks.programs import NoCompiler, compiled

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

CLOSING = b"connection: close\r\n\r\n"
EVENTS = b"content-type: text/event-stream\r\n"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def load(cache: Path) -> LoadGenerator:
    return LoadGenerator(compiled("load", cache), core=0)


@pytest.fixture
async def mock(cache: Path) -> AsyncIterator[Mock]:
    program = compiled("mock_upstream", cache)
    running = await asyncio.create_subprocess_exec(program, "0", stdout=asyncio.subprocess.PIPE)
    assert running.stdout is not None
    ready = (await running.stdout.readline()).decode()
    yield Mock(int(ready.split("127.0.0.1:")[1].split()[0].rstrip(":")))
    running.terminate()
    await running.wait()


async def demand(load: LoadGenerator, port: int, sent: bytes, wished: Demand, tmp: Path) -> Heard:
    file = tmp / "body.json"
    file.write_bytes(sent)
    return await asyncio.to_thread(load.run, wished, port=port, body=file, key="k")


def test_a_program_is_compiled_once_and_anew_when_its_source_changed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compiled("load", cache)
    monkeypatch.setenv("CC", "/nowhere/cc")
    assert compiled("load", cache) == first

    monkeypatch.setattr("benchmarks.programs.HERE", cache)
    (cache / "load.c").write_text("int main(void) { return 0 }\n")
    monkeypatch.delenv("CC")
    with pytest.raises(NoCompiler, match=r"refused load\.c"):
        compiled("load", cache)


async def test_the_mock_answers_whole_with_the_logprobs_that_were_asked_for(mock: Mock) -> None:
    async with httpx.AsyncClient(base_url=mock.base_url) as http:
        for logprobs in (True, False):
            asked = body("m", Size.LARGE, stream=False, logprobs=logprobs)
            answer = await http.post("/v1/chat/completions", content=asked)
            choice = answer.json()["choices"][0]

            assert (choice["logprobs"] is not None) is logprobs
            if logprobs:
                assert 3_000 < len(answer.content) < 3_600
                tokens = choice["logprobs"]["content"]
                assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
                assert answer.json()["usage"]["completion_tokens"] == len(tokens)
    assert mock.counted().requests == 2


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("interval_s", [0.0, 0.001])
async def test_the_mock_streams_as_many_tokens_as_it_was_told(
    mock: Mock, interval_s: float, *, usage: bool
) -> None:
    mock.set(Pace(tokens=300, interval_s=interval_s))
    asked = json.loads(body("m", Size.SMALL, stream=True, logprobs=True))
    if usage:
        asked["stream_options"] = {"include_usage": True}
    async with httpx.AsyncClient(base_url=mock.base_url) as http:
        answer = await http.post("/v1/chat/completions", json=asked)

    *events, done, rest = answer.text.split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert (done, rest) == ("data: [DONE]", "")
    assert len(chunks) == 300 + 2 + usage
    assert sum(1 for chunk in chunks if chunk["choices"] and chunk["choices"][0]["logprobs"]) == 300
    assert ("usage" in chunks[-1]) is usage
    assert mock.counted().chunks == len(chunks)


async def test_the_mock_does_not_repeat_itself(mock: Mock) -> None:
    """LiteLLM, and our own check, call a model that does a failure."""
    mock.set(Pace(tokens=200))
    asked = body("m", Size.SMALL, stream=True, logprobs=False)
    async with httpx.AsyncClient(base_url=mock.base_url) as http:
        text = (await http.post("/v1/chat/completions", content=asked)).text
    said = [line for line in text.splitlines() if '"content":" ' in line]

    assert len(said) == 200
    assert all(said[at : at + 3] != said[at + 3 : at + 6] for at in range(195))


async def test_every_request_of_a_closed_loop_is_counted(
    mock: Mock, load: LoadGenerator, tmp_path: Path
) -> None:
    asked = body("m", Size.LARGE, stream=False, logprobs=True)
    heard = await demand(load, mock.port, asked, Demand(30, clients=8, requests=500), tmp_path)

    assert (heard.issued, heard.answered, heard.failed, heard.clients) == (500, 500, 0, 8)
    assert heard.latency_us is not None
    assert heard.latency_us.count == 500
    assert heard.first_event_us is None
    counted = mock.counted()
    assert counted.requests == 500
    assert counted.connections < 8 + 5  # kept alive; the few are ours


async def test_events_of_streams_are_counted_and_timed(
    mock: Mock, load: LoadGenerator, tmp_path: Path
) -> None:
    mock.set(Pace(tokens=50, interval_s=0.001))
    asked = body("m", Size.SMALL, stream=True, logprobs=True)
    heard = await demand(load, mock.port, asked, Demand(30, clients=20, requests=40), tmp_path)

    assert (heard.answered, heard.failed) == (40, 0)
    assert heard.events == 40 * (50 + 2 + 1)  # role and finish; the load counts [DONE] too
    assert heard.first_event_us is not None
    assert heard.first_event_us.count == 40


async def test_an_open_loop_sends_what_is_due_whether_or_not_answers_come(
    load: LoadGenerator, tmp_path: Path
) -> None:
    """And counts latency from then on: the first of 20, 10 ms apart, waited for all the others."""
    everyone = asyncio.Event()
    waiting = 0

    async def answer_all_at_once(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal waiting
        await reader.readuntil(b"}")
        waiting += 1
        if waiting == 20:
            everyone.set()
        await everyone.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" + CLOSING + b"{}")
        await writer.drain()
        writer.close()

    async with serving(answer_all_at_once) as port:
        heard = await demand(load, port, b"{}", Demand(0.2, rate_per_s=100), tmp_path)

    assert (heard.issued, heard.answered, heard.failed) == (20, 20, 0)
    assert heard.latency_us is not None
    assert heard.latency_us.max >= 190_000


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"", "cut"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "cut"),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "status"),
        (b"SSH-2.0\r\n\r\n", "not_http"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n" + EVENTS + b"\r\ndata: 1\n\n", "no_done"),
    ],
)
async def test_what_goes_wrong_is_counted_by_its_kind(
    said: bytes, kind: str, load: LoadGenerator, tmp_path: Path
) -> None:
    async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(said)
        await writer.drain()
        writer.close()

    async with serving(misbehave) as port:
        heard = await demand(load, port, b"{}", Demand(30, requests=3), tmp_path)

    assert (heard.answered, heard.failed) == (0, 3)
    assert {name for name, number in heard.errors.items() if number} == {kind}


async def test_a_server_that_is_not_there_is_an_error_and_not_a_hang(
    load: LoadGenerator, tmp_path: Path
) -> None:
    async with serving(lambda _reader, _writer: None) as port:
        pass
    heard = await demand(load, port, b"{}", Demand(30, requests=3), tmp_path)

    assert heard.errors["refused"] == 3


@asynccontextmanager
async def serving(handle: object) -> AsyncIterator[int]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)  # type: ignore[arg-type]
    async with server:
        yield server.sockets[0].getsockname()[1]
