"""What one engine is: the frozen, checked form of an `[engines.NAME]` table."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LoraAdapter(_Checked):
    """A LoRA in GGUF form, applied over the engine's model when it starts."""

    path: Path
    scale: Annotated[float, Field(ge=0)] = 1.0


class EngineSpec(_Checked):
    """One llama.cpp engine on this machine."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    kind: Literal["llamacpp"] = "llamacpp"
    gguf: Path
    adapters: tuple[LoraAdapter, ...] = ()
    host: Literal["127.0.0.1"] = "127.0.0.1"
    """Loopback only: the engine has no authentication, the gateway in front of it does."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0 picks a free one when the engine is made; it keeps it over restarts."""
    model: Annotated[str, Field(min_length=1)]
    """The name that clients put in `model` and that `/v1/models` shows."""
    context_tokens: Annotated[int, Field(ge=64)] = 2048
    """Prompt and answer of one request; each slot has this many."""
    slots: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests decoded at the same time; more wait in the engine."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """None takes this engine's share of the cores that are ours to use, at most 8."""
    prompt_cache_mib: Annotated[int, Field(ge=0)] = 0
    """Memory for prompts of finished requests (llama.cpp's own default is 8192)."""

    @property
    def base_url(self) -> str:
        """Where an OpenAI client finds it."""
        return f"http://{self.host}:{self.port}/v1"
