"""`/v1/completions` in the shape of vLLM 0.32: prompts in, their continuations out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import msgspec

from serving.asked import CompletionBody
from serving.dialect import CREATED, DONE, Facts, Stream, encode, sse
from serving.say import Say, Tok
from serving.vllm_shapes.errors import (
    bad_request,
    check_choices,
    check_lengths,
    check_model,
    error_body,
    unreadable,
)
from serving.vllm_shapes.logprobs import completion_logprobs, ranked
from serving.vllm_shapes.models import FINGERPRINT
from serving.vllm_shapes.speculation import draft_metrics
from serving.vllm_shapes.token_ids import READ_NATS, begun, going_on, ids_of, prompt_logprobs
from serving.written import Written, token_id, words, write

MAX_LOGPROBS = 20
DEFAULT_MAX_TOKENS = 16


@dataclass(frozen=True, slots=True)
class CompletionAnswer:
    body: CompletionBody
    facts: Facts
    id: str

    @property
    def streamed(self) -> bool:
        return bool(self.body.stream)

    @property
    def last_words(self) -> str:
        return self.body.prompts[-1]

    def whole(self, says: Sequence[Say]) -> bytes:
        written = self._written(says)
        choices = [
            self._choice(index, each, says[index % len(says)]) for index, each in enumerate(written)
        ]
        usage = self._usage(written) | dict.fromkeys(
            ("prompt_tokens_details", "completion_tokens_details")
        )
        after = {"service_tier": None, "system_fingerprint": FINGERPRINT, "usage": usage}
        extensions = dict.fromkeys(("kv_transfer_params", "ec_transfer_params"))
        metrics = {"metrics": draft_metrics(says[0], choices=len(written))}
        return encode(self._head | {"choices": choices} | after | extensions | metrics)

    def stream(self, says: Sequence[Say]) -> Stream:
        """No opening: the first event carries the first token, and the echoed prompt."""
        written = self._written(says)
        steps = [tuple(self._steps(index, each)) for index, each in enumerate(written)]
        together = [b"".join(step) for step in zip_longest(*steps, fillvalue=b"")]
        longest = max(len(each.spoken) for each in written)
        closing = list(together[longest:])
        if self.body.wants_usage:
            usage = {"usage": self._usage(written), "system_fingerprint": FINGERPRINT}
            metrics = draft_metrics(says[0], choices=len(written))
            told = {"metrics": metrics} if metrics is not None else {}
            closing.append(sse(encode({**self._head, "choices": [], **usage, **told})))
        return Stream((), tuple(together[:longest]), (*closing, DONE))

    def error_event(self, message: str, *, failed: bool) -> bytes:  # noqa: ARG002 - one shape
        return sse(error_body(500, message, kind="InternalServerError")) + DONE

    @property
    def _head(self) -> dict[str, object]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": CREATED,
            "model": self.facts.model,
        }

    @property
    def _n(self) -> int:
        return self.body.n or 1

    def _prompt(self, index: int) -> str:
        return self.body.prompts[index // self._n]

    def _echoed(self, index: int) -> list[str]:
        return words(self._prompt(index)) if self.body.echo else []

    def _written(self, says: Sequence[Say]) -> list[Written]:
        limit = DEFAULT_MAX_TOKENS if self.body.max_tokens is None else self.body.max_tokens
        # The engine decodes one token to have read the prompt, and says that it was asked for.
        limit = 1 if self._only_echoes else limit
        return [
            write(
                going_on(says[i % len(says)], begun(self._prompt_ids(i))),
                stops=self.body.stops,
                max_tokens=limit,
                tools=False,
                lags=True,
            )
            for i in range(self._n * len(self.body.prompts))
        ]

    def _prompt_ids(self, index: int) -> list[int] | None:
        return self.body.prompt_ids[index // self._n]

    @property
    def _only_echoes(self) -> bool:
        return bool(self.body.echo) and self.body.max_tokens == 0

    def _usage(self, written: Sequence[Written]) -> dict[str, object]:
        prompt = sum(len(words(each)) for each in self.body.prompts)
        completion = sum(each.completion_tokens for each in written)
        return {
            "prompt_tokens": prompt,
            "total_tokens": prompt + completion,
            "completion_tokens": completion,
        }

    def _logprobs(
        self, say: Say, echoed: list[str], tokens: Sequence[Tok], *, offset: int = 0
    ) -> dict[str, object] | None:
        if self.body.logprobs is None or not say.logprobs:
            return None
        read: list[Tok | None] = [Tok(text, READ_NATS) for text in echoed]
        if read:
            read[0] = None
        spoken = [] if self._only_echoes else list(tokens)
        texts = [*echoed, *(token.text for token in spoken)]
        return completion_logprobs([*read, *spoken], texts, self.body.logprobs, offset=offset)

    def _prompt_logprobs(self, index: int, say: Say) -> list[object] | None:
        top = self.body.prompt_logprobs
        if top is None and self.body.echo:
            top = self.body.logprobs
        if top is None:
            return None
        if (ids := self._prompt_ids(index)) is not None:
            return prompt_logprobs(ids, say, top)
        known: list[object] = [None]
        for text in words(self._prompt(index))[1:]:
            entries = enumerate(ranked(Tok(text, READ_NATS), max(top, 1)), 1)
            known.append(
                {
                    str(token_id(name)): {
                        "logprob": logprob,
                        "rank": rank,
                        "decoded_token": name,
                    }
                    for rank, (name, logprob) in entries
                }
            )
        return known

    def _choice(self, index: int, written: Written, say: Say) -> dict[str, object]:
        """`say` is the whole script, of which the written part may be the rest."""
        echoed = self._echoed(index)
        said = "" if self._only_echoes else written.full_text
        return {
            "index": index,
            "text": "".join(echoed) + said,
            "logprobs": self._logprobs(written.script, echoed, written.tokens),
            "finish_reason": written.finish_reason,
            "stop_reason": written.stop_reason,
            "token_ids": ids_of(written.tokens) if self.body.return_token_ids else None,
            "prompt_logprobs": self._prompt_logprobs(index, say),
            "prompt_token_ids": self._told_prompt(index),
            "routed_experts": None,
        }

    def _told_prompt(self, index: int) -> list[int] | None:
        if not self.body.return_token_ids:
            return None
        ids = self._prompt_ids(index)
        return ids if ids is not None else [token_id(w) for w in words(self._prompt(index))]

    def _steps(self, index: int, written: Written) -> Iterator[bytes]:
        """The events of one choice, one element a token."""
        echoed = self._echoed(index)
        offset = 0
        pairs = [(each.token, each.text) for each in written.spoken]
        if written.end is not None:
            pairs.append((written.end, written.held))
        for count, (token, text) in enumerate(pairs, 1):
            yield self._chunk(
                index,
                "".join(echoed) + ("" if self._only_echoes else text),
                self._logprobs(written.script, echoed, [token], offset=offset),
                written if count == len(pairs) else None,
                prompt_token_ids=self._told_prompt(index) if count == 1 else None,
                token_ids=ids_of([token]) if self.body.return_token_ids else None,
            )
            offset += sum(map(len, echoed)) + len(token.text)
            echoed = []

    def _chunk(
        self, index: int, text: str, logprobs: object, ends: Written | None, **ids: object
    ) -> bytes:
        """`ends` is what was written, in its last event."""
        choice = {
            "index": index,
            "text": text,
            "logprobs": logprobs,
            "finish_reason": ends and ends.finish_reason,
            "stop_reason": ends and ends.stop_reason,
            **ids,
        }
        tail = {}
        if ends and ends.finish_reason and not self.body.wants_usage:
            tail = {"system_fingerprint": FINGERPRINT}
        return sse(encode({**self._head, "choices": [choice], **tail}))


def understand(raw: bytes, facts: Facts, *, number: int) -> CompletionAnswer:
    """The request, or Refused as vLLM refuses it."""
    try:
        body = msgspec.json.decode(raw, type=CompletionBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    check_model(body.model, facts)
    check_choices(body.n, body.temperature)
    if not any(body.prompts):
        message = "Either prompt or prompt_embeds must be provided and non-empty."
        raise bad_request(message, "prompt")
    if body.stream_options is not None and not body.stream:
        message = "Stream options can only be defined when `stream=True`."
        raise bad_request(message, "stream_options")
    if (body.logprobs or 0) > MAX_LOGPROBS:
        message = (
            f"Requested sample logprobs of {body.logprobs}, which is greater than max "
            f"allowed: {MAX_LOGPROBS}"
        )
        raise bad_request(message, "logprobs", body.logprobs)
    if body.prompt_logprobs is not None:
        _check_prompt_logprobs(body.prompt_logprobs, streamed=bool(body.stream))
    for prompt in body.prompts:
        check_lengths(
            facts,
            prompt_tokens=len(words(prompt)),
            max_tokens=body.max_tokens,
            param="max_tokens",
        )
    return CompletionAnswer(body, facts, f"cmpl-{number:016x}")


def _check_prompt_logprobs(top: int, *, streamed: bool) -> None:
    if streamed:
        message = "`prompt_logprobs` are not available when `stream=True`."
        raise bad_request(message, "prompt_logprobs")
    if top > MAX_LOGPROBS:
        message = (
            f"Requested prompt logprobs of {top}, which is greater than max allowed: {MAX_LOGPROBS}"
        )
        raise bad_request(message, "prompt_logprobs", top)
