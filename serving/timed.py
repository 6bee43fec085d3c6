"""One answer of one engine, streamed and timed to the token."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from serving.errors import NotMeasured

_REQUEST_S = 1800.0
"""A CPU that others use too writes a long answer for minutes."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Drafts(_Told):
    num_spec_steps: int
    num_draft_tokens: int
    num_accepted_draft_tokens: int


class _Metrics(_Told):
    speculative_decoding: _Drafts | None = None


class _Rank(_Told):
    rank: int


class _Choice(_Told):
    token_ids: tuple[int, ...] | None = None
    prompt_logprobs: tuple[dict[str, _Rank] | None, ...] | None = None


class _Event(_Told):
    choices: tuple[_Choice, ...] = ()
    metrics: _Metrics | None = None


class _Tokens(_Told):
    tokens: tuple[int, ...]


_Form = TypeVar("_Form", bound=_Told)


@dataclass(frozen=True, slots=True)
class Drafted:
    """What the engine says of its drafts for one answer."""

    steps: int
    tokens: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Timed:
    """first_s: until the first token; total_s: until the last one."""

    tokens: tuple[int, ...]
    first_s: float
    total_s: float
    drafted: Drafted | None = None

    @property
    def each_s(self) -> float:
        """Of a token after the first."""
        return (self.total_s - self.first_s) / max(1, len(self.tokens) - 1)


class Timer:
    """Asks one vLLM, greedily; `base_url` ends in /v1, `clock` is monotonic seconds."""

    def __init__(
        self, base_url: str, model: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model, self._clock = model, clock
        self._http = httpx.Client(
            base_url=base_url,
            timeout=_REQUEST_S,
            limits=httpx.Limits(max_keepalive_connections=0),  # nothing that must be closed
            trust_env=False,
        )

    def cut(self, messages: Sequence[dict[str, str]]) -> tuple[int, ...]:
        """A chat as token ids, ready for an answer."""
        body = {"model": self._model, "messages": list(messages), "add_generation_prompt": True}
        reply = self._http.post(str(self._http.base_url.join("../tokenize")), json=body)
        return self._decoded(_Tokens, self._ok(reply).content).tokens

    def answer(self, prompt: Sequence[int], *, max_tokens: int) -> Timed:
        """Raises `NotMeasured`."""
        asked = {"stream": True, "stream_options": {"include_usage": True}}
        body = self._body(prompt, max_tokens=max_tokens, return_token_ids=True, **asked)
        tokens: list[int] = []
        first_s = last_s = 0.0
        drafted = None
        began_s = self._clock()
        try:
            with self._http.stream("POST", "completions", json=body) as reply:
                if reply.status_code != httpx.codes.OK:
                    reply.read()
                for event in self._events(self._ok(reply)):
                    now_s = self._clock() - began_s
                    if new := [each for choice in event.choices for each in choice.token_ids or ()]:
                        first_s = now_s if not tokens else first_s
                        last_s = now_s
                        tokens += new
                    drafted = _drafted(event) or drafted
        except httpx.HTTPError as error:
            raise NotMeasured(f"{self._model}: {error}") from error
        if not tokens:
            raise NotMeasured(f"{self._model}: a stream without token ids (return_token_ids)")
        return Timed(tuple(tokens), first_s, last_s, drafted)

    def first_choices(self, prompt: Sequence[int], said: Sequence[int]) -> tuple[list[int], float]:
        """What it would have put where each token of `said` stands, and the seconds to read it."""
        body = self._body([*prompt, *said], max_tokens=1, prompt_logprobs=1)
        reply = self._ok(self._http.post("completions", json=body))
        told = self._decoded(_Event, reply.content).choices[0].prompt_logprobs
        if told is None:
            raise NotMeasured(f"{self._model}: gives no prompt_logprobs, and so cannot verify")
        kept = [each or {} for each in told[len(prompt) :]]
        choices = [next((int(k) for k, v in each.items() if v.rank == 1), -1) for each in kept]
        return choices, reply.elapsed.total_seconds()

    def _body(self, prompt: Sequence[int], **more: object) -> dict[str, object]:
        return {"model": self._model, "prompt": list(prompt), "temperature": 0, **more}

    def _events(self, reply: httpx.Response) -> Iterator[_Event]:
        for line in reply.iter_lines():
            data = line.removeprefix("data: ")
            if data and data not in {"[DONE]", line}:
                yield self._decoded(_Event, data)

    def _ok(self, reply: httpx.Response) -> httpx.Response:
        if reply.status_code != httpx.codes.OK:
            raise NotMeasured(f"{self._model}: status {reply.status_code}: {reply.text[:200]}")
        return reply

    def _decoded(self, form: type[_Form], data: bytes | str) -> _Form:
        try:
            return form.model_validate_json(data)
        except ValidationError as error:
            raise NotMeasured(f"{self._model}: answered in another form: {error}") from error


def _drafted(event: _Event) -> Drafted | None:
    told = event.metrics.speculative_decoding if event.metrics else None
    if told is None:
        return None
    return Drafted(told.num_spec_steps, told.num_draft_tokens, told.num_accepted_draft_tokens)
