"""The real engine: llama.cpp in a child process, started, asked, killed."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from serving.engine import Engine
from serving.errors import FileMissing, PortTaken, ProcessDied
from serving.llamacpp_spec import LlamaCppSpec, LoraAdapter
from serving.ports import pick_free_port, port_is_free
from serving.supervisor import Change, State, Supervisor
from tests.serving.waiting import until

QUESTION = [{"role": "user", "content": "The capital of France is"}]


def first_token(engine: Engine) -> dict[str, object]:
    reply = httpx.post(
        f"{engine.spec.base_url}/chat/completions",
        json={
            "model": engine.spec.model,
            "messages": QUESTION,
            "temperature": 0,
            "max_tokens": 1,
            "logprobs": True,
            "top_logprobs": 3,
        },
        timeout=60,
    )
    assert reply.status_code == 200, reply.text
    (token,) = reply.json()["choices"][0]["logprobs"]["content"]
    assert isinstance(token, dict)
    return token


def an_engine(tmp_path: Path, gguf: Path, *, port: int = 0, adapter: Path | None = None) -> Engine:
    return Engine(
        LlamaCppSpec(
            name="student",
            gguf=gguf,
            adapters=() if adapter is None else (LoraAdapter(path=adapter),),
            port=port,
            model="m",
        ),
        logs=tmp_path,
        env=os.environ,
        cores=1,
    )


@pytest.mark.engine
def test_an_engine_completes_with_logprobs(plain_engine: Engine) -> None:
    token = first_token(plain_engine)

    assert isinstance(token["logprob"], float)
    assert token["logprob"] <= 0
    assert isinstance(token["top_logprobs"], list)
    assert len(token["top_logprobs"]) == 3


@pytest.mark.engine
def test_an_engine_shows_the_name_it_serves_under(plain_engine: Engine) -> None:
    models = httpx.get(f"{plain_engine.spec.base_url}/models").json()
    assert [model["id"] for model in models["data"]] == ["smol"]


@pytest.mark.engine
def test_a_web_page_of_somebody_else_may_not_read_an_engine(plain_engine: Engine) -> None:
    reply = httpx.get(
        f"{plain_engine.spec.base_url}/models", headers={"origin": "https://elsewhere.example"}
    )
    assert reply.headers.get("access-control-allow-origin") not in {
        "*",
        "https://elsewhere.example",
    }


@pytest.mark.engine
def test_a_second_engine_on_its_port_is_refused_in_words(
    plain_engine: Engine, tmp_path: Path
) -> None:
    port = plain_engine.spec.port
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    with pytest.raises(PortTaken, match=rf"port {port} on 127\.0\.0\.1 is already in use; stop"):
        an_engine(tmp_path, model, port=port).start()


@pytest.mark.engine
def test_an_adapter_is_loaded_and_a_killed_engine_comes_back_as_it_was(
    plain_engine: Engine, bent_engine: Engine
) -> None:
    changes: queue.SimpleQueue[Change] = queue.SimpleQueue()

    def until_state(state: State) -> None:
        while changes.get(timeout=120).state is not state:
            pass

    supervisor = Supervisor([bent_engine], on_change=changes.put)
    supervisor.start()
    try:
        until_state(State.READY)
        before, port, pid = first_token(bent_engine), bent_engine.spec.port, bent_engine.pid
        assert before["top_logprobs"] != first_token(plain_engine)["top_logprobs"]
        assert pid is not None

        os.kill(pid, signal.SIGKILL)
        until_state(State.BACKING_OFF)
        until_state(State.READY)

        assert bent_engine.pid != pid
        assert bent_engine.spec.port == port
        assert first_token(bent_engine)["token"] == before["token"]
    finally:
        supervisor.stop()

    assert bent_engine.pid is None
    assert port_is_free("127.0.0.1", port)
    starts = [line for line in bent_engine.log.read_text().splitlines() if "loading" in line]
    assert len(starts) == 2, "the log is kept over restarts"


STARTER = """
import os, signal, sys
from pathlib import Path
from serving.engine import Engine
from serving.llamacpp_spec import LlamaCppSpec
spec = LlamaCppSpec.model_validate_json(sys.argv[1])
engine = Engine(spec, logs=Path(sys.argv[2]), env=os.environ, cores=1)
engine.start()
print(engine.pid, flush=True)
signal.pause()
"""


@pytest.mark.engine
def test_no_engine_survives_a_parent_that_is_killed(base_gguf: Path, tmp_path: Path) -> None:
    port = pick_free_port("127.0.0.1")
    spec = LlamaCppSpec(name="orphan", gguf=base_gguf, model="m", port=port, context_tokens=256)
    with subprocess.Popen(
        [sys.executable, "-P", "-c", STARTER, spec.model_dump_json(), str(tmp_path)],
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not port_is_free("127.0.0.1", port)
        parent.kill()

    until(lambda: port_is_free("127.0.0.1", port), within_s=30)
    until(lambda: not is_running(pid), within_s=30)


def is_running(pid: int) -> bool:
    """Its keeper outlives it for a moment and reaps it, so there is no zombie to mistake."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_missing_model_is_explained_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"engine student: model file .*nowhere\.gguf is not"):
        an_engine(tmp_path, tmp_path / "nowhere.gguf").start()


def test_a_missing_adapter_is_explained_before_anything_starts(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    with pytest.raises(FileMissing, match=r"LoRA adapter .*lora\.gguf is not there"):
        an_engine(tmp_path, model, adapter=tmp_path / "lora.gguf").start()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} .* another port in .engines.student."):
            an_engine(tmp_path, model, port=port).start()


@pytest.mark.engine
def test_a_model_that_llama_cpp_refuses_shows_the_log(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"this is not a model")
    with pytest.raises(ProcessDied, match="engine student ended with status 1; last lines") as died:
        an_engine(tmp_path, model).start()
    assert "invalid magic" in str(died.value)


def test_a_spec_keeps_the_port_that_was_picked_for_it(tmp_path: Path) -> None:
    engine = an_engine(tmp_path, tmp_path / "model.gguf")
    assert engine.spec.port != 0
    assert json.loads(engine.spec.model_dump_json())["port"] == engine.spec.port
