"""What one llama.cpp engine is: the checked form of an `[engines.NAME]` table of that kind."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from serving.checked import Checked, EngineTable


class LoraAdapter(Checked):
    """A LoRA in GGUF form, applied over the engine's model when it starts."""

    path: Path
    scale: Annotated[float, Field(ge=0)] = 1.0


class LlamaCppSpec(EngineTable):
    """One llama.cpp engine on this machine."""

    kind: Literal["llamacpp"] = "llamacpp"
    gguf: Path
    adapters: tuple[LoraAdapter, ...] = ()
    host: Literal["127.0.0.1"] = "127.0.0.1"
    """Loopback only: the engine has no authentication, the gateway in front of it does."""
    context_tokens: Annotated[int, Field(ge=64)] = 2048
    """Prompt and answer of one request; each slot has this many."""
    slots: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests decoded at the same time; more wait in the engine."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """None takes this engine's share of the cores that are ours to use, at most 8."""
    prompt_cache_mib: Annotated[int, Field(ge=0)] = 0
    """Memory for prompts of finished requests (llama.cpp's own default is 8192)."""

    @property
    def ready_within_s(self) -> float:
        """Loading takes a second on an idle machine; a busy one with a cold disk gets its time."""
        return 120.0

    @property
    def grace_s(self) -> float:
        """Between being asked to end and being made to."""
        return 5.0

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """What must be there before it starts, by what it is."""
        lora = (("LoRA adapter", adapter.path) for adapter in self.adapters)
        return (("model file", self.gguf), *lora)

    def beside(self, folder: Path) -> "LlamaCppSpec":
        """The same with relative paths taken from `folder`."""
        adapters = tuple(
            adapter.model_copy(update={"path": folder / adapter.path}) for adapter in self.adapters
        )
        return self.model_copy(update={"gguf": folder / self.gguf, "adapters": adapters})
