"""What an engine that speculates says of its drafts, beside an answer: vLLM's `metrics`."""

import msgspec

from gateway.wire import UNREADABLE
from router.trace import Drafted


class _Speculated(msgspec.Struct):
    num_spec_steps: int
    num_draft_tokens: int
    num_accepted_draft_tokens: int


class _Metrics(msgspec.Struct):
    speculative_decoding: _Speculated | None = None


def read_drafted(metrics: msgspec.Raw) -> Drafted | None:
    """None where it says nothing of drafts, or something that is not known here: vLLM calls this
    experimental, and an answer is not refused for what is told beside it.
    """
    try:
        told = _METRICS.decode(metrics).speculative_decoding
    except UNREADABLE:
        return None
    if told is None:
        return None
    return Drafted(told.num_spec_steps, told.num_draft_tokens, told.num_accepted_draft_tokens)


_METRICS = msgspec.json.Decoder(_Metrics)
