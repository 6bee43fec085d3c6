"""A dialect that keeps responses as OpenAI does: vLLM's shapes, and what vLLM has no path for."""

from typing import Any
from urllib.parse import unquote

import msgspec

from serving.dialect import Facts, encode
from serving.scripted_engine import ScriptedEngine
from serving.vllm_shapes import Vllm
from serving.vllm_shapes.response_body import find_stored

PREFIX = "/v1/responses/"


class KeepingDialect(Vllm):
    """Knows `DELETE`, `…/cancel` and `…/input_items`; the input it tells is always the same.

    `forgets`: False only says that it has deleted something.
    """

    def __init__(self, *, forgets: bool = True) -> None:
        self._forgets = forgets

    def probe(self, method: str, path: str, raw: bytes, facts: Facts) -> bytes:
        response_id, _, verb = unquote(path.removeprefix(PREFIX)).partition("/")
        match method, verb:
            case "DELETE", "" if path.startswith(PREFIX):
                find_stored(response_id, facts)
                if self._forgets and facts.stored is not None:
                    del facts.stored[response_id]
                return encode({"id": response_id, "object": "response.deleted", "deleted": True})
            case "POST", "cancel":
                stored: dict[str, Any] = msgspec.json.decode(find_stored(response_id, facts))
                return encode({**stored, "status": "cancelled"})
            case "GET", "input_items":
                find_stored(response_id, facts)
                return encode(INPUT_ITEMS)
            case _:
                return super().probe(method, path, raw, facts)


INPUT_ITEMS = {
    "object": "list",
    "data": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_text", "text": "hello"}],
        }
    ],
    "first_id": "msg_1",
    "last_id": "msg_1",
    "has_more": False,
}


def keep(engine: ScriptedEngine) -> None:
    """From now on it keeps responses as OpenAI does."""
    engine._dialect = KeepingDialect()
