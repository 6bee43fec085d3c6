"""The engines of one deployment, made ready to be started together."""

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from serving.command import usable_cores
from serving.deployment import Deployment
from serving.engine import Engine
from serving.errors import BadConfig
from serving.llamacpp_spec import LlamaCppSpec
from serving.spec import EngineSpec


def engines_of(
    deployment: Deployment, *, logs: Path, env: Mapping[str, str], only: Sequence[str] = ()
) -> list[Engine]:
    """One per `[engines.NAME]`, or per name in `only`; nothing runs yet. Raises `BadConfig`."""
    known = {spec.name: spec for spec in deployment.engines}
    for name in only:
        if name not in known:
            raise BadConfig(
                f"{deployment.config}: [engines]",
                f"there is no {name!r}; it has {', '.join(known) or 'none'}",
            )
    specs = [spec for name, spec in known.items() if not only or name in only]
    here = any(isinstance(spec, LlamaCppSpec) for spec in specs)
    if here and importlib.util.find_spec("xllamacpp") is None:
        raise BadConfig(
            f"{deployment.config}: [engines]",
            f"llama.cpp is not installed; run `{sys.executable} -m pip install 'tutelage[local]'`",
        )
    return [Engine(spec, logs=logs, env=env, cores=_share(len(specs))) for spec in specs]


def engine_beside(
    deployment: Deployment, spec: EngineSpec, *, logs: Path, env: Mapping[str, str]
) -> Engine:
    """One more, which gets no more than each of the others."""
    return Engine(spec, logs=logs, env=env, cores=_share(len(deployment.engines)))


def _share(engines: int) -> int:
    # llama.cpp's threads meet at a spinning barrier many times a token: one that has to wait for
    # a core makes all wait, ten times slower and more. So engines share the cores out.
    return max(1, usable_cores() // max(1, engines))
