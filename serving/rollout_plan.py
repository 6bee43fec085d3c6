"""Which engines a deployment's routes want now: values alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.deployment import Deployment
from serving.errors import BadConfig
from serving.llamacpp_spec import LlamaCppSpec, LoraAdapter
from serving.release import Release
from serving.release_adapter import rank_for
from serving.release_state import Change, Wanted
from serving.spec import EngineSpec
from serving.vllm_spec import Adapter, Lora, VllmSpec

_MOST_OF_A_NAME = 23
"""An engine's name has 32 characters at most; eight are the release's."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A route whose student runs here, and can be another release's.

    stands_for: the base_url that the config has for the student's upstream. release: what the
    config's engine is, as the config says; "" if it says nothing. unless: what is wanted as long
    as nobody has changed it.
    """

    route: str
    stands_for: str
    spec: EngineSpec
    release: str
    unless: Wanted

    def wants(self, changes: Sequence[Change]) -> Wanted:
        """changes: of this route, oldest first. Its `current` is an id, or ""."""
        wish = changes[-1].after if changes else self.unless
        return wish.model_copy(update={"current": wish.current or self.release})

    def needs(self, changes: Sequence[Change], now_s: float) -> list[str]:
        """The releases whose engines run: the one in service first."""
        wish = self.wants(changes)
        found = [wish.current or ""]
        if wish.candidate is not None and wish.share > 0.0:
            found.append(wish.candidate)
        switch = self._last_switch(changes)
        if switch is not None and now_s < switch.changed_s + switch.after.kept_s:
            before = switch.before.current if switch.before is not None else None
            found.append(before or self.release)
        return list(dict.fromkeys(found))

    def _last_switch(self, changes: Sequence[Change]) -> Change | None:
        for change in reversed(changes):
            before = change.before.current if change.before is not None else None
            if before != change.after.current:
                return change
        return None


def seats_of(deployment: Deployment) -> tuple[Seat, ...]:
    """In the order of the routes."""
    here = {spec.base_url: spec for spec in deployment.engines}
    seats = []
    for name, route in deployment.routes.items():
        upstream = deployment.upstreams.get(route.student)
        if upstream is None or len(upstream.replicas) != 1:
            continue
        (url,) = upstream.replicas
        if url in here:
            canary = route.canary
            unless = Wanted(
                candidate=canary.release if canary is not None else None,
                share=canary.share if canary is not None else 0.0,
            )
            seats.append(Seat(name, url, here[url], route.release or "", unless))
    return tuple(seats)


def by_route(changes: Sequence[Change]) -> Mapping[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.route, []).append(change)
    return found


def spec_for(spec: EngineSpec, release: Release) -> EngineSpec:
    """The config's engine with the release's student in it, on the same port.

    Raises `BadConfig` for a student of the other kind.
    """
    wanted = "gguf" if isinstance(spec, LlamaCppSpec) else "folder"
    if release.manifest.student.kind != wanted:
        raise BadConfig(
            f"release {release.id}",
            f"it is a {release.manifest.student.kind}, and [engines.{spec.name}] of kind "
            f"{spec.kind} serves a {wanted}",
        )
    if isinstance(spec, LlamaCppSpec):
        adapters = (LoraAdapter(path=release.adapter),) if release.adapter is not None else ()
        return spec.model_copy(update={"gguf": release.weights, "adapters": adapters})
    lora = spec.lora
    if release.adapter is not None:
        rank = rank_for(release.adapter, at_least=lora.max_rank if lora is not None else 1)
        own = Adapter(name=release.id, path=release.adapter)
        lora = (lora or Lora()).model_copy(update={"adapters": (own,), "max_rank": rank})
    return spec.model_copy(
        update={"weights": str(release.weights), "quantization": None, "lora": lora}
    )


def beside(spec: EngineSpec, release: str) -> EngineSpec:
    """The same engine under a name of its own, on a free port."""
    suffix = release.rpartition("-")[2][:8] or "config"
    name = f"{spec.name[:_MOST_OF_A_NAME]}-{suffix}"
    return spec.model_copy(update={"name": name, "port": 0})


def model_of(spec: EngineSpec, release: Release | None) -> str:
    """What requests call it: vLLM knows an adapter by a name beside the base's."""
    own = isinstance(spec, VllmSpec) and release is not None and release.adapter is not None
    return release.id if own and release is not None else spec.model
