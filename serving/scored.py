"""How one engine reads and continues a text: what a model is compared by with another.

Asked of vLLM: `/tokenize`, then `/v1/completions` with token ids and `prompt_logprobs`, so that the
kernels that serve are the ones that are judged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from serving.errors import NotMeasured
from serving.texts import Message, Sample


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Tokens(_Told):
    tokens: tuple[int, ...]


class _Candidate(_Told):
    logprob: float
    rank: int


class _Choice(_Told):
    text: str
    token_ids: tuple[int, ...] | None = None
    prompt_logprobs: tuple[dict[str, _Candidate] | None, ...] | None = None


class _Completion(_Told):
    choices: tuple[_Choice, ...]


_Form = TypeVar("_Form", bound=_Told)


@dataclass(frozen=True, slots=True)
class Scored:
    """nats: the log-probability of each token of a text but the first; first_choices: the token
    that the model would have put there. answer: what it says to the question, greedily.
    """

    nats: tuple[float, ...]
    first_choices: tuple[int, ...]
    answer: tuple[int, ...]
    answer_s: float


@dataclass(frozen=True, slots=True)
class Cut:
    """A sample as token ids: all of it, and the part that is to be continued."""

    text: tuple[int, ...]
    question: tuple[int, ...]


class Scorer:
    """One engine; `base_url` ends in /v1."""

    def __init__(self, base_url: str, model: str) -> None:
        self._model = model
        self._http = httpx.Client(
            base_url=base_url,
            timeout=_REQUEST_S,
            limits=httpx.Limits(max_keepalive_connections=0),  # nothing that must be closed
            trust_env=False,
        )

    def cut(self, sample: Sample, *, max_tokens: int) -> Cut:
        """A text's question is its first half; what is longer than `max_tokens` is cut there."""
        if sample.text:
            text = self._tokens(prompt=sample.text)[:max_tokens]
            return Cut(text, text[: max(1, len(text) // 2)])
        text = self._tokens(messages=_told(sample.messages), add_generation_prompt=False)
        question = self._tokens(messages=_told(sample.question), add_generation_prompt=True)
        return Cut(text[:max_tokens], question[:max_tokens])

    def score(self, cut: Cut, *, answer_tokens: int) -> Scored:
        """Raises `NotMeasured`."""
        read, _ = self._complete(cut.text, max_tokens=1, prompt_logprobs=1)
        nats, choices = _read(read.prompt_logprobs, cut.text)
        said, took_s = self._complete(cut.question, max_tokens=answer_tokens, return_token_ids=True)
        if said.token_ids is None:
            raise NotMeasured(f"{self._model}: the engine gives no token ids (return_token_ids)")
        return Scored(nats, choices, said.token_ids, took_s)

    def _tokens(self, **asked: object) -> tuple[int, ...]:
        reply = self._post(
            str(self._http.base_url.join("../tokenize")), {"model": self._model, **asked}
        )
        return _decoded(_Tokens, reply).tokens

    def _complete(self, prompt: Sequence[int], **asked: object) -> tuple[_Choice, float]:
        body = {"model": self._model, "prompt": list(prompt), "temperature": 0, **asked}
        reply = self._post("completions", body)
        return _decoded(_Completion, reply).choices[0], reply.elapsed.total_seconds()

    def _post(self, path: str, body: dict[str, object]) -> httpx.Response:
        try:
            reply = self._http.post(path, json=body)
        except httpx.HTTPError as error:
            raise NotMeasured(f"{self._model}: {path}: {error}") from error
        if reply.status_code != httpx.codes.OK:
            raise NotMeasured(
                f"{self._model}: {path}: status {reply.status_code}: {reply.text[:200]}"
            )
        return reply


def _read(
    told: Sequence[dict[str, _Candidate] | None] | None, ids: Sequence[int]
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The first token has nothing before it, and so no probability."""
    if told is None or len(told) != len(ids):
        raise NotMeasured("the engine gives no prompt_logprobs: a fidelity report needs vLLM")
    nats, choices = [], []
    for token, candidates in zip(ids[1:], told[1:], strict=True):
        if candidates is None or (own := candidates.get(str(token))) is None:
            raise NotMeasured(f"prompt_logprobs without the prompt's own token {token}")
        nats.append(max(own.logprob, _FLOOR_NATS))
        choices.append(next(int(key) for key, each in candidates.items() if each.rank == 1))
    return tuple(nats), tuple(choices)


_REQUEST_S = 1800.0
"""A CPU that others use too reads a long text for minutes."""
_FLOOR_NATS = math.log(1e-10)
"""A token that a model thinks impossible would make any perplexity infinite."""


def _told(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": each.role, "content": each.content} for each in messages]


def _decoded(form: type[_Form], reply: httpx.Response) -> _Form:
    try:
        return form.model_validate_json(reply.content)
    except ValidationError as error:
        raise NotMeasured(f"{reply.url}: answered in another form: {error}") from error
