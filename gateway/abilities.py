"""What an upstream can do beyond answering, found by asking it and looking at what comes back.

Nothing is believed because a status says 200: a schema must be kept, a call must be made, a
beginning must be gone on from, a client that hangs up must leave nothing running.
"""

import json
import re
import time
from collections.abc import Callable

import httpx
import msgspec

from gateway.drafted import read_drafted
from gateway.refusal import read_error
from gateway.wire import NULL

Body = dict[str, object]

DEPTHS = (20, 5, 1)
_USER: Body = {"role": "user", "content": "Say yes."}
_LONG: Body = {"role": "user", "content": "Count from one to five hundred, in words."}
_SCHEMA: Body = {
    "type": "object",
    "properties": {"yes": {"type": "boolean"}},
    "required": ["yes"],
    "additionalProperties": False,
}
_TOOL: Body = {
    "type": "function",
    "function": {
        "name": "wait",
        "description": "Wait some seconds.",
        "parameters": {"type": "object", "properties": {"seconds": {"type": "integer"}}},
    },
}
_TEXT = 'naïve café, 北京 😀, x != y; 1,024 {"a": [1.5e-3]}\n\tdone'
"""Cut differently by almost any two tokenizers."""
_RUNNING = re.compile(
    r"^(?:vllm:num_requests_running|llamacpp:requests_processing)(?:\{.*\})? (\S+)$", re.MULTILINE
)
_LOOKS = 50
_LOOK_EVERY_S = 0.1


class Lacking(Exception):
    """The upstream does not do it; the message says what it did instead."""


class _Call(msgspec.Struct):
    class Function(msgspec.Struct):
        name: str = ""
        arguments: str = ""

    function: Function


class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Token(msgspec.Struct):
    top_logprobs: list[object] = []


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    logprobs: _Logprobs | None = None
    token_ids: list[int] | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Reply(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    prompt_logprobs: list[object] | None = None
    prompt_token_ids: list[int] | None = None
    metrics: msgspec.Raw = NULL


class _Tokens(msgspec.Struct):
    tokens: list[int]


_REPLY = msgspec.json.Decoder(_Reply)
_TOKENS = msgspec.json.Decoder(_Tokens)


class Abilities:
    """Asks one upstream. Each method returns what it saw, or raises `Lacking`.

    `client` has the base URL and the key; `pause` waits some seconds.
    """

    def __init__(
        self, model: str, client: httpx.Client, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._model, self._client, self._pause = model, client, pause
        self._root = str(client.base_url).rstrip("/").removesuffix("/v1")

    def logprobs_depth(self) -> str:
        """The most alternatives a token among `DEPTHS`."""
        for depth in DEPTHS:
            try:
                reply = self._ask(max_tokens=1, logprobs=True, top_logprobs=depth)
            except Lacking:
                continue
            told = reply.choices[0].logprobs
            tokens = (told.content or []) if told else []
            if tokens and len(tokens[0].top_logprobs) == depth:
                return f"{depth} alternatives a token"
        raise Lacking("no alternatives to any token")

    def prompt_logprobs(self) -> str:
        read = self._ask(max_tokens=1, prompt_logprobs=1).prompt_logprobs
        if not read:
            raise Lacking("asked for, none came")
        return f"of {len(read)} tokens"

    def token_ids(self) -> str:
        reply = self._ask(max_tokens=2, return_token_ids=True)
        if not reply.choices[0].token_ids or not reply.prompt_token_ids:
            raise Lacking("asked for, none came")
        return "of prompt and answer"

    def prefill(self) -> str:
        """Whether an answer that has begun is gone on with, in the same turn.

        Seen in how many tokens the prompt has: a turn that is closed and opened again costs more
        than the words that were put into it.
        """
        none, one, nine = (self._prompt_tokens("yes " * words) for words in (0, 1, 9))
        a_word = (nine - one) / 8
        if one - none > a_word + 1:
            raise Lacking("the beginning of an answer is taken for a turn of its own")
        return "goes on from the beginning of an answer"

    def tool_call(self) -> str:
        reply = self._ask(max_tokens=96, tools=[_TOOL], tool_choice="required")
        calls = reply.choices[0].message.tool_calls
        if not calls:
            raise Lacking("one was required, none came")
        try:
            made = isinstance(json.loads(calls[0].function.arguments), dict)
        except ValueError:
            made = False
        if not made:
            said = calls[0].function.arguments[:60]
            raise Lacking(f"its arguments are no JSON object: {said!r}")
        return f"{calls[0].function.name}({calls[0].function.arguments[:40]})"

    def schema(self) -> str:
        wish = {"type": "json_schema", "json_schema": {"name": "answer", "schema": _SCHEMA}}
        said = self._ask(max_tokens=64, response_format=wish).choices[0].message.content or ""
        try:
            kept = json.loads(said).keys() == {"yes"}
        except (ValueError, AttributeError):
            kept = False
        if not kept:
            raise Lacking(f"a schema was asked for, and {said[:60]!r} came")
        return "kept"

    def drafts(self) -> str:
        """Whether answers tell how much of a draft was accepted."""
        told = read_drafted(self._ask(max_tokens=16).metrics)
        if told is None:
            raise Lacking("answers tell of no drafted tokens")
        return f"{told.accepted} of {told.tokens} drafted tokens accepted"

    def hang_up(self) -> str:
        """Whether a client that leaves frees the engine. Other traffic can hide it."""
        before = self._running()
        body = {"messages": [_LONG], "max_tokens": 400, "stream": True}
        with self._client.stream("POST", "/chat/completions", json=self._body(body)) as response:
            if response.status_code != httpx.codes.OK:
                raise Lacking(f"status {response.status_code}")
            chunks = response.iter_raw()  # kept: it hangs up when it is forgotten
            next(chunks, b"")
            if self._running() <= before:
                raise Lacking("cannot be seen: the answer was over at once")
        for looked in range(_LOOKS):
            if self._running() <= before:
                return f"frees it within {(looked + 1) * _LOOK_EVERY_S:.1f} s"
            self._pause(_LOOK_EVERY_S)
        raise Lacking(f"still at work {_LOOKS * _LOOK_EVERY_S:.0f} s after")

    def cuts(self) -> list[int]:
        """Some text as its tokens' ids."""
        for field in ("prompt", "content"):  # vLLM's word for it, and llama.cpp's
            body = {"model": self._model, field: _TEXT, "add_special_tokens": False}
            reply = self._client.post(f"{self._root}/tokenize", json=body)
            if reply.status_code == httpx.codes.OK:
                tokens = _TOKENS.decode(reply.content).tokens
                if tokens:
                    return tokens
        raise Lacking("tells no tokens (/tokenize)")

    def _prompt_tokens(self, begun: str) -> int:
        messages = [_USER, {"role": "assistant", "content": begun.strip()}] if begun else [_USER]
        going_on = {"add_generation_prompt": False, "continue_final_message": True}
        reply = self._ask(messages=messages, max_tokens=1, **(going_on if begun else {}))
        if reply.usage is None:
            raise Lacking("cannot be seen: it counts no prompt tokens")
        return reply.usage.prompt_tokens

    def _running(self) -> float:
        reply = self._client.get(f"{self._root}/metrics")
        counts = _RUNNING.findall(reply.text) if reply.status_code == httpx.codes.OK else []
        if not counts:
            raise Lacking("cannot be seen: it does not count its running requests (/metrics)")
        return sum(float(count) for count in counts)

    def _ask(self, **more: object) -> _Reply:
        response = self._client.post("/chat/completions", json=self._body(more))
        if response.status_code != httpx.codes.OK:
            said = read_error(response.content).message[:120]
            raise Lacking(f"status {response.status_code}: {said}")
        reply = _REPLY.decode(response.content)
        if not reply.choices:
            raise Lacking("no choices in the answer")
        return reply

    def _body(self, more: Body) -> Body:
        return {"model": self._model, "messages": [_USER], "temperature": 0, **more}
