"""The engines that must keep the contract: the fake in both flavours, llama.cpp, and a vLLM.

llama.cpp is started here, once. A vLLM is asked where TUTELAGE_TEST_VLLM_URL says that one runs (a
base URL, up to /v1); without it there are no tests of that name.
"""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import httpx
import pytest

from serving.command import usable_cores
from serving.engine import Engine
from serving.home import Home
from serving.llamacpp_spec import LlamaCppSpec
from serving.models import BASE
from serving.scripted_engine import Flavour, ScriptedEngine
from serving.scripts import Say
from tests.contracts.differences import DIFFERENCES, Differences

LONG_ANSWER_TOKENS = 400
PAUSE_AFTER_TOKENS = 3


class Served(Protocol):
    """One running engine, and how to look inside it."""

    @property
    def model(self) -> str: ...

    @property
    def differs(self) -> Differences: ...

    @property
    def base_url(self) -> str: ...

    def prepare_long_answer(self) -> None:
        """The next request will be for LONG_ANSWER_TOKENS and will be left early."""

    async def decoded_tokens_at_rest(self) -> int:
        """Wait until nothing is in flight; how many tokens were ever decoded."""


class Scripted:
    model = "scripted"

    def __init__(self, engine: ScriptedEngine, differs: Differences) -> None:
        self._engine = engine
        self.differs = differs
        engine.script(Say(*(f" word{n}" for n in range(40)), logprob=-0.2))

    @property
    def base_url(self) -> str:
        return self._engine.base_url

    def prepare_long_answer(self) -> None:
        words = (f" word{n}" for n in range(LONG_ANSWER_TOKENS))
        self._engine.script(Say(*words, pause_after=PAUSE_AFTER_TOKENS))

    async def decoded_tokens_at_rest(self) -> int:
        await self._engine.idle()
        left = [e for e in self._engine.journal if " left after " in e]
        finished = self._engine.journal.count("scripted finished")
        return sum(int(e.split()[-1]) for e in left) + finished * LONG_ANSWER_TOKENS


class LlamaCpp:
    model = "smollm2"
    differs = DIFFERENCES["llamacpp"]

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    @property
    def base_url(self) -> str:
        return self._base_url

    def prepare_long_answer(self) -> None:
        """A real engine is slow enough by itself."""

    async def decoded_tokens_at_rest(self) -> int:
        url = self.base_url.removesuffix("/v1") + "/metrics"
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            while True:
                lines = (await client.get(url)).text.splitlines()
                values = dict(line.split() for line in lines if line.startswith("llamacpp:"))
                if float(values["llamacpp:requests_processing"]) == 0:
                    return int(float(values["llamacpp:n_decode_total"]))


@pytest.fixture(scope="session")
def llamacpp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """SmolLM2 on llama.cpp, started once."""
    spec = LlamaCppSpec(
        name="contract",
        gguf=Home.of(os.environ).models / BASE.file_name,
        model=LlamaCpp.model,
        slots=2,
        threads=1,  # two that wait for each other crawl on a busy machine
        context_tokens=768,
    )
    logs = tmp_path_factory.mktemp("logs")
    engine = Engine(spec, logs=logs, env=os.environ, cores=usable_cores())
    engine.start()
    try:
        yield engine.spec.base_url
    finally:
        engine.stop()


class Vllm:
    """One that somebody started."""

    differs = DIFFERENCES["vllm"]

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as client:
            models = client.get(f"{self.base_url}/models").json()
        self.model = str(models["data"][0]["id"])

    def prepare_long_answer(self) -> None:
        """A real engine is slow enough by itself."""

    async def decoded_tokens_at_rest(self) -> int:
        url = self.base_url.removesuffix("/v1") + "/metrics"
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
            while True:
                lines = (await client.get(url)).text.splitlines()
                values = [line.split() for line in lines if line.startswith("vllm:")]
                named = {name.partition("{")[0]: float(value) for name, value in values}
                if named["vllm:num_requests_running"] == 0:
                    return int(named["vllm:generation_tokens_total"])


VLLM_URL = os.environ.get("TUTELAGE_TEST_VLLM_URL")
PATIENCE_S = 60.0 if VLLM_URL is None else 600.0
FLAVOURS: dict[str, Flavour] = {"scripted": "vllm", "scripted-llamacpp": "llamacpp"}
ENGINES = [
    *FLAVOURS,
    pytest.param("llamacpp", marks=pytest.mark.engine),
    *(["vllm"] if VLLM_URL else []),
]


@pytest.fixture(params=ENGINES)
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    name: str = request.param
    if name in FLAVOURS:
        async with ScriptedEngine(model=Scripted.model, flavour=FLAVOURS[name]) as engine:
            yield Scripted(engine, DIFFERENCES[name])
    elif name == "vllm":
        yield Vllm(str(VLLM_URL))
    else:
        yield LlamaCpp(request.getfixturevalue("llamacpp_url"))


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Without keep-alive: llama.cpp sometimes closes a connection after a stream unannounced."""
    fresh = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=served.base_url, timeout=PATIENCE_S, trust_env=False, limits=fresh
    ) as client:
        yield client
