"""Real engines, each started once for all tests of this folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.engine import Engine
from serving.home import Home
from serving.llamacpp_spec import LlamaCppSpec, LoraAdapter
from serving.models import BASE
from tests.serving.engines import write_lora


@pytest.fixture(scope="session")
def base_gguf() -> Path:
    """Of the user's cache; `tests/conftest.py` skips engine tests where it is missing."""
    return Home.of(os.environ).models / BASE.file_name


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def plain_engine(base_gguf: Path, logs: Path) -> Iterator[Engine]:
    """The base as it is."""
    engine = Engine(
        LlamaCppSpec(name="plain", gguf=base_gguf, model="smol", context_tokens=512, slots=2),
        logs=logs,
        env=os.environ,
        cores=1,
    )
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def bent_engine(base_gguf: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The base with an adapter; not started: a test starts and ends it."""
    adapter = tmp_path_factory.mktemp("adapter") / "bent.gguf"
    write_lora(base_gguf, adapter)
    return Engine(
        LlamaCppSpec(
            name="bent",
            gguf=base_gguf,
            adapters=(LoraAdapter(path=adapter),),
            model="bent-smol",
            context_tokens=512,
            slots=1,
        ),
        logs=logs,
        env=os.environ,
        cores=1,
    )
