"""An engine of any kind: the `[engines.NAME]` tables of a config file, told apart by `kind`."""

from collections.abc import Mapping

from serving.errors import BadConfig
from serving.llamacpp_spec import LlamaCppSpec
from serving.vllm_spec import VllmSpec

EngineSpec = LlamaCppSpec | VllmSpec

KINDS: Mapping[str, type[LlamaCppSpec | VllmSpec]] = {"llamacpp": LlamaCppSpec, "vllm": VllmSpec}


def read_spec(where: str, name: str, table: Mapping[str, object]) -> EngineSpec:
    """Checks one table; without a `kind` it is llama.cpp's.

    Raises `BadConfig` for a kind that nobody knows, pydantic's `ValidationError` for the rest.
    """
    kind = table.get("kind", "llamacpp")
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadConfig(where, f"kind: there are {' and '.join(KINDS)} (got {kind!r})")
    return KINDS[kind].model_validate({**table, "name": name})
