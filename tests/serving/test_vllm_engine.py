"""A vLLM engine's life, on a `vllm` command that is a scripted engine."""

import os
import socket
from pathlib import Path

import httpx
import pytest

from serving.engine import Engine
from serving.errors import BadConfig, FileMissing, NotReady, PortTaken, ProcessDied
from serving.ports import port_is_free
from serving.vllm_spec import VllmSpec
from tests.serving.stub_vllm import install
from tests.serving.waiting import until


def an_engine(folder: Path, *, env: dict[str, str] | None = None, **keys: object) -> Engine:
    weights = folder / str(keys.pop("weights", "plain"))
    weights.mkdir()
    table = {
        "name": "large",
        "kind": "vllm",
        "model": "large",
        "weights": str(weights),
        "executable": str(install(folder)),
        "drain_s": 0,
    }
    spec = VllmSpec.model_validate({**table, **keys})
    return Engine(spec, logs=folder, env={**os.environ, **(env or {})}, cores=1)


def test_it_is_ready_when_it_has_answered_and_gone_when_it_is_stopped(tmp_path: Path) -> None:
    engine = an_engine(tmp_path)

    took_s = engine.start()
    models = httpx.get(f"{engine.spec.base_url}/models", trust_env=False).json()
    engine.stop()

    assert took_s > 0
    assert [model["id"] for model in models["data"]] == ["large"]
    assert engine.pid is None
    assert port_is_free("127.0.0.1", engine.spec.port)


def test_its_key_reaches_it(tmp_path: Path) -> None:
    engine = an_engine(tmp_path, env={"K": "secret"}, api_key={"env": "K"})
    engine.start()
    engine.stop()

    assert "key: secret" in engine.log.read_text()


def test_full_memory_is_told_in_words_and_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ProcessDied, match=r"ended with status 1 .the GPU ran out of memory; lower"):
        an_engine(tmp_path, weights="full").start()


def test_what_an_earlier_run_said_is_no_cause_of_this_ones_end(tmp_path: Path) -> None:
    (tmp_path / "engine-large.log").write_text("CUDA out of memory\n")

    with pytest.raises(ProcessDied, match="large could not be executed"):
        an_engine(tmp_path, executable=str(tmp_path)).start()


def test_its_workers_end_with_it_even_where_it_would_not(tmp_path: Path) -> None:
    engine = an_engine(tmp_path, weights="workers", extra_args=("--seed", "1"))
    engine._process._grace_s = 0.2
    engine.start()
    worker = int((tmp_path / "workers" / "worker").read_text())

    engine.stop()

    until(lambda: not is_running(worker), within_s=30)


def test_one_that_never_answers_is_given_up_with_its_log(tmp_path: Path) -> None:
    program = tmp_path / "mute"
    program.write_text("#!/bin/sh\necho loading; exec sleep 600\n")
    program.chmod(0o755)

    with pytest.raises(NotReady, match=r"(?s)not ready after 0.1 s; last lines of .*loading"):
        an_engine(tmp_path, executable=str(program), ready_within_s=0.1).start()


def test_a_vllm_that_is_not_on_path_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    engine = an_engine(tmp_path, env={"PATH": str(tmp_path / "none")}, executable="vllm")

    with pytest.raises(BadConfig, match=r"'vllm' is not on PATH; .*tutelage\[vllm\]"):
        engine.start()


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    engine = an_engine(tmp_path)
    (tmp_path / "plain").rmdir()

    with pytest.raises(FileMissing, match=r"model folder .*plain is not there"):
        engine.start()


def test_a_port_in_use_is_told_with_who_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortTaken, match=r"already in use; stop .* or set another port in"):
            an_engine(tmp_path, port=port).start()


def is_running(pid: int) -> bool:
    """Not as a zombie, which waits for whoever adopted it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc").is_dir()
    return state != "Z"
