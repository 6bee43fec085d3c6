"""The engines that must keep the contract, and the one table of what each does differently."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Protocol

import httpx
import pytest

from serving.command import usable_cores
from serving.engine import Engine
from serving.home import Home
from serving.models import BASE
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Say
from serving.spec import EngineSpec


@dataclass(frozen=True)
class Differences:
    """Where engines that speak the same API are known not to agree."""

    refuses_unknown_models: bool
    refuses_more_than_20_top_logprobs: bool
    top_logprobs_by_default: int
    """How many alternatives come with `logprobs` alone."""
    opening_content: str | None
    """The content of the role chunk."""
    end_token_has_a_logprob: bool
    """The token that ends the turn stands in the logprobs, without text in the answer."""
    usage_counts_every_choice: bool
    """With n > 1; the other way counts the tokens of one choice."""
    follows_json_schema: bool
    """A scripted engine says what it is told, whatever the schema."""


DIFFERENCES = {
    "scripted": Differences(
        refuses_unknown_models=True,
        refuses_more_than_20_top_logprobs=True,
        top_logprobs_by_default=0,
        opening_content="",
        end_token_has_a_logprob=True,
        usage_counts_every_choice=True,
        follows_json_schema=False,
    ),
    "llamacpp": Differences(
        refuses_unknown_models=False,
        refuses_more_than_20_top_logprobs=False,
        top_logprobs_by_default=20,
        opening_content=None,
        end_token_has_a_logprob=False,
        usage_counts_every_choice=False,
        follows_json_schema=True,
    ),
}

LONG_ANSWER_TOKENS = 400
PAUSE_AFTER_TOKENS = 3


class Served(Protocol):
    """One running engine, and how to look inside it."""

    model: str
    differs: Differences

    @property
    def base_url(self) -> str: ...

    def prepare_long_answer(self) -> None:
        """The next request will be for LONG_ANSWER_TOKENS and will be left early."""

    async def decoded_tokens_at_rest(self) -> int:
        """Wait until nothing is in flight; how many tokens were ever decoded."""


class Scripted:
    model = "scripted"
    differs = DIFFERENCES["scripted"]

    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine = engine
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
    spec = EngineSpec(
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


@pytest.fixture(params=["scripted", pytest.param("llamacpp", marks=pytest.mark.engine)])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    if request.param == "scripted":
        async with ScriptedEngine(model=Scripted.model) as engine:
            yield Scripted(engine)
    else:
        yield LlamaCpp(request.getfixturevalue("llamacpp_url"))


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Without keep-alive: llama.cpp sometimes closes a connection after a stream unannounced."""
    fresh = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=served.base_url, timeout=60, trust_env=False, limits=fresh
    ) as client:
        yield client
