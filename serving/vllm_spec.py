"""What one vLLM engine is: the checked form of an `[engines.NAME]` table with `kind = "vllm"`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from serving.checked import Checked, EngineTable, Secret, is_loopback
from serving.vllm_flags import FLAGS

Count = Annotated[int, Field(ge=1)]


class Adapter(Checked):
    """A LoRA that clients ask for by its name."""

    name: Annotated[str, Field(min_length=1)]
    path: Path


class Lora(Checked):
    adapters: tuple[Adapter, ...] = ()
    """Loaded at the start."""
    at_once: Count = 1
    """How many different ones may be in one batch."""
    max_rank: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = 16
    hot_load: bool = False
    """Whether more can be loaded while it runs (`/v1/load_lora_adapter`)."""


class DraftModel(Checked):
    """A small model writes ahead, the large one checks."""

    method: Literal["draft_model", "eagle", "eagle3"]
    weights: str
    tokens: Count = 4


class Ngram(Checked):
    """What the prompt already says is the draft."""

    method: Literal["ngram"]
    tokens: Count = 4
    lookup_min: Count | None = None
    lookup_max: Count | None = None


class Suffix(Checked):
    """What was said before, to anybody, is the draft."""

    method: Literal["suffix"]
    tokens: Count | None = None


class OwnHeads(Checked):
    """The model brings heads that write ahead."""

    method: Literal["mtp"]
    tokens: Count = 1


Speculation = Annotated[
    DraftModel | Ngram | Suffix | OwnHeads,
    Field(discriminator="method"),
]


class VllmSpec(EngineTable):
    """One `vllm serve` on this machine. None leaves a choice to vLLM."""

    kind: Literal["vllm"]
    weights: Annotated[str, Field(min_length=1)]
    """A folder, if it begins with `/`, `./`, `../` or `~`; else a name on the model hub."""
    executable: str = "vllm"
    """Found on PATH, or a path: the environment that it lies in is the one that runs."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    quantization: str | None = None
    """None reads it from the weights."""
    context_tokens: Annotated[int, Field(ge=64)] | None = None
    """Prompt and answer of one request (`--max-model-len`)."""
    slots: Count | None = None
    """Requests decoded at the same time (`--max-num-seqs`)."""
    device: Literal["gpu", "cpu"] = "gpu"
    memory_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Of a GPU's memory, weights and cache together (`--gpu-memory-utilization`)."""
    kv_cache_gib: Count | None = None
    """Of main memory, for the cache alone; on a CPU."""
    threads: Count | None = None
    """On a CPU; None takes this engine's share of the cores that are ours to use."""
    tensor_parallel: Count = 1
    pipeline_parallel: Count = 1
    data_parallel: Count = 1
    prefix_caching: bool | None = None
    chunked_prefill: bool | None = None
    lora: Lora | None = None
    tool_parser: str | None = None
    """Without one, requests with tools are refused."""
    reasoning_parser: str | None = None
    scheduling: Literal["priority", "fcfs"] = "priority"
    """By priority, a shadow request waits behind live ones; equal priorities come in order."""
    max_logprobs: Annotated[int, Field(ge=-1)] = 20
    """Alternatives a token that a request may ask for; -1 is the whole vocabulary."""
    speculate: Speculation | None = None
    per_request_metrics: bool = False
    """Times, and accepted drafts, in each answer's `metrics`."""
    store_responses: bool = False
    """Keeps `/v1/responses` in memory, without end, for `previous_response_id`."""
    eager: bool = False
    """Starts sooner and decodes slower: nothing is compiled."""
    api_key: Secret | None = None
    extra_args: tuple[str, ...] = ()
    """Flags of `vllm serve` that have no key here, one word an entry."""
    env: Mapping[str, str] = Field(default_factory=dict)
    ready_within_s: Annotated[float, Field(gt=0)] = 900.0
    """Loading, compiling and the first answer."""
    drain_s: Annotated[int, Field(ge=0)] = 10
    """How long it finishes requests in flight when it is told to stop."""

    @property
    def grace_s(self) -> float:
        """Between being asked to end and being made to: its drain, and what it takes to unload."""
        return self.drain_s + 10.0

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """What must be there before it starts, by what it is."""
        named = [("model folder", self.weights)]
        if isinstance(self.speculate, DraftModel):
            named.append(("draft model folder", self.speculate.weights))
        if is_path(self.executable):
            named.append(("executable", self.executable))
        folders = [(what, Path(path)) for what, path in named if is_path(path)]
        adapters = self.lora.adapters if self.lora else ()
        return (*folders, *(("LoRA adapter", adapter.path) for adapter in adapters))

    def beside(self, folder: Path) -> "VllmSpec":
        """The same with relative paths taken from `folder`."""
        changed: dict[str, object] = {
            "weights": _from(folder, self.weights),
            "executable": _from(folder, self.executable),
        }
        if self.lora:
            adapters = tuple(
                adapter.model_copy(update={"path": folder / adapter.path})
                for adapter in self.lora.adapters
            )
            changed["lora"] = self.lora.model_copy(update={"adapters": adapters})
        if isinstance(self.speculate, DraftModel):
            draft = {"weights": _from(folder, self.speculate.weights)}
            changed["speculate"] = self.speculate.model_copy(update=draft)
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _must_be_kept_from_strangers(self) -> "VllmSpec":
        if self.api_key is None and not is_loopback(self.host):
            raise ValueError(
                f"host = {self.host!r} lets other machines in: set "
                'api_key = { env = "NAME" }, or keep it on 127.0.0.1'
            )
        return self

    @model_validator(mode="after")
    def _must_fit_its_device(self) -> "VllmSpec":
        misplaced = ("memory_share",) if self.device == "cpu" else ("kv_cache_gib", "threads")
        for key in misplaced:
            if getattr(self, key) is not None:
                raise ValueError(f"{key} means nothing with device = {self.device!r}; remove it")
        return self

    @model_validator(mode="after")
    def _must_be_known_to_vllm(self) -> "VllmSpec":
        FLAGS.must_know(self.extra_args, set_by=KEY_OF)
        for flag, name, plugin in (
            ("--quantization", self.quantization, None),
            ("--tool-call-parser", self.tool_parser, "--tool-parser-plugin"),
            ("--reasoning-parser", self.reasoning_parser, "--reasoning-parser-plugin"),
        ):
            brought = plugin is not None and any(a.startswith(plugin) for a in self.extra_args)
            if name is not None and not brought:
                FLAGS.must_have_name(flag, name, key=KEY_OF[flag])
        return self


KEY_OF = {
    "--served-model-name": "model",
    "--host": "host",
    "--port": "port",
    "--model": "weights",
    "--dtype": "dtype",
    "--quantization": "quantization",
    "--max-model-len": "context_tokens",
    "--max-num-seqs": "slots",
    "--gpu-memory-utilization": "memory_share",
    "--tensor-parallel-size": "tensor_parallel",
    "--pipeline-parallel-size": "pipeline_parallel",
    "--data-parallel-size": "data_parallel",
    "--enable-prefix-caching": "prefix_caching",
    "--enable-chunked-prefill": "chunked_prefill",
    "--enable-lora": "lora",
    "--lora-modules": "lora",
    "--max-loras": "lora",
    "--max-lora-rank": "lora",
    "--enable-auto-tool-choice": "tool_parser",
    "--tool-call-parser": "tool_parser",
    "--reasoning-parser": "reasoning_parser",
    "--scheduling-policy": "scheduling",
    "--max-logprobs": "max_logprobs",
    "--speculative-config": "speculate",
    "--enable-per-request-metrics": "per_request_metrics",
    "--per-request-spec-decode-metrics": "per_request_metrics",
    "--enforce-eager": "eager",
    "--shutdown-timeout": "drain_s",
    "--api-key": "api_key",
    "--disable-uvicorn-access-log": "the engine's log",
}
"""The key that says what a flag would: such a flag has no place in `extra_args`."""


def is_path(text: str) -> bool:
    """Whether it is a place on this machine, not a name."""
    return text.startswith(("/", "./", "../", "~"))


def _from(folder: Path, text: str) -> str:
    if not is_path(text):
        return text
    path = Path(text).expanduser()
    # Not resolved: a venv's python and vllm are links, and only under their own name in it.
    return str(path if path.is_absolute() else folder / path)
