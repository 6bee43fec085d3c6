"""What stands between the load and the mock: nothing, a peer, or the gateway and one route."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import ours, peers
from benchmarks.place import Launch, Place


@dataclass(frozen=True, slots=True)
class Way:
    """`model`: what clients ask for. `logprobs`: whether they ask for them too.

    Everyone who passes answers on is asked for logprobs, so that all relay the same bytes; the
    cascade's clients are not, as those of a gateway that asks for its own.
    """

    name: str
    title: str
    launch: Callable[[Place], Launch] | None
    model: str = "mock"
    logprobs: bool = True

    @property
    def is_ours(self) -> bool:
        return self.launch is ours.gateway


DIRECT = Way("direct", "direct to the mock", None)
OURS = (
    Way("pass", "tutelage, pass-through", ours.gateway, "pass"),
    Way("cascade", "tutelage, cascade: gated, committed", ours.gateway, "cascade", logprobs=False),
    Way("escalate", "tutelage, cascade: all escalated", ours.gateway, "escalate", logprobs=False),
    Way("shadow", "tutelage, cascade, shadow at 10 %", ours.gateway, "shadow", logprobs=False),
)
PEERS = (
    Way("nginx", "nginx, plain reverse proxy", peers.nginx),
    Way("vllm-router", "vllm-router (Rust)", peers.vllm_router),
    Way("sglang-router", "sglang-router (Rust)", peers.sglang_router),
    Way("litellm", "LiteLLM proxy (Python)", peers.litellm),
)
WAYS = {way.name: way for way in (DIRECT, *OURS, *PEERS)}
