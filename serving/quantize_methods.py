"""The ways to make weights smaller: what makes them, what they need, where they can be served."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from serving.errors import BadConfig
from serving.job_environment import Recipe

JOBS: Final = Path(__file__).with_name("quantize_jobs")
GROUPS: Final = (128, 64, 32)

_GPTQMODEL = Recipe("gptqmodel", JOBS / "gptqmodel.txt", gigabytes=1.8)
_LLM_COMPRESSOR = Recipe("llm-compressor", JOBS / "llm-compressor.txt", gigabytes=1.7)


@dataclass(frozen=True, slots=True)
class Method:
    """`calibrated`: looks at texts. `grouped`: a scale for each group of weights.

    `on_cpu`: whether vLLM's CPU build serves what it makes.
    """

    name: str
    what: str
    recipe: Recipe
    job: Path
    bits: int
    calibrated: bool
    grouped: bool
    on_cpu: bool = True


METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method(
                "gptq",
                "4-bit weights, GPTQ's format, by GPTQModel (AutoGPTQ's successor)",
                *(_GPTQMODEL, JOBS / "gptq.py", 4),
                calibrated=True,
                grouped=True,
            ),
            Method(
                "w4a16",
                "4-bit weights by GPTQ, compressed-tensors, by llm-compressor",
                *(_LLM_COMPRESSOR, JOBS / "compress.py", 4),
                calibrated=True,
                grouped=True,
            ),
            Method(
                "awq",
                "4-bit weights by AWQ, compressed-tensors, by llm-compressor; on a GPU",
                *(_LLM_COMPRESSOR, JOBS / "compress.py", 4),
                calibrated=True,
                grouped=True,
            ),
            Method(
                "w8a8",
                "8-bit weights, activations in 8 bits as they come; by llm-compressor",
                *(_LLM_COMPRESSOR, JOBS / "compress.py", 8),
                calibrated=False,
                grouped=False,
            ),
            Method(
                "fp8",
                "8-bit floats for weights and activations, for GPUs that have them",
                *(_LLM_COMPRESSOR, JOBS / "compress.py", 8),
                calibrated=False,
                grouped=False,
                on_cpu=False,
            ),
        )
    }
)


def group_size_for(widths: tuple[int, ...], asked: int | None) -> int:
    """The largest of `GROUPS` that all widths of a model are multiples of, or the one asked for.

    Raises `BadConfig` where there is none.
    """
    fitting = [size for size in GROUPS if all(width % size == 0 for width in widths)]
    told = " and ".join(map(str, widths))
    if asked is None:
        if not fitting:
            raise BadConfig(
                "--group-size", f"none of {GROUPS} divides the model's widths, {told}; name one"
            )
        return fitting[0]
    if any(width % asked for width in widths):
        fix = f"; {fitting[0]} would fit" if fitting else ""
        raise BadConfig("--group-size", f"{asked} does not divide the model's widths, {told}{fix}")
    return asked
