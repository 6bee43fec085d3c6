"""Asks every prompt four times: the teacher alone, twice, and through a gateway that verifies."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx

from gateway import config
from gateway.verify_calls import read_back, reading_body
from router.trace import Exchange
from router.verification import Ending
from router.verify_rules import Reading
from tests.journeys.rig import KeptTraces, running
from tests.vllm.comparison import Again, Own, Row, Verified
from tests.vllm.prompts import Messages, Prompts

NEVER = 1.0
"""A threshold that no answer reaches: all of them are deferrals."""
PATIENT = {"first_token_s": 3600.0, "idle_s": 3600.0, "total_s": 3600.0}


@dataclass(frozen=True, slots=True)
class Pair:
    """Base URLs, up to /v1, and the names that the models are served by."""

    student_url: str
    teacher_url: str
    student: str = "student"
    teacher: str = "teacher"


@dataclass(frozen=True, slots=True)
class Wish:
    """window: the tokens that a stream is held for; None asks for no streams."""

    tie_nats: float
    window: int | None
    at_once: int


async def compare(
    pair: Pair, prompts: Prompts, wish: Wish, *, done: Callable[[int], None]
) -> list[Row]:
    """A row a prompt, in order. done: told how many there are, one by one."""
    async with _gateway(pair, wish) as on:
        turn, counted = asyncio.Semaphore(wish.at_once), count(1)

        async def row(messages: Messages) -> Row:
            async with turn:
                found = await on.row(messages, prompts.max_tokens)
            done(next(counted))
            return found

        return await asyncio.gather(*(row(each) for each in prompts.all))


@dataclass(frozen=True, slots=True)
class _Asking:
    teacher: str
    direct: httpx.AsyncClient
    through: httpx.AsyncClient
    traces: KeptTraces
    streams: bool

    async def row(self, messages: Messages, max_tokens: int) -> Row:
        asked = {"messages": messages, "max_tokens": max_tokens, "temperature": 0}
        own = await self._own(asked)
        again = (await self._post(self.direct, {"model": self.teacher} | asked)).json()
        choice = again["choices"][0]
        return Row(
            own=own,
            again=Again(
                text=choice["message"]["content"] or "", finish_reason=choice["finish_reason"]
            ),
            whole=await self._whole(asked),
            streamed=await self._streamed(asked) if self.streams else None,
        )

    async def _own(self, asked: dict[str, Any]) -> Own:
        more = {"logprobs": True, "top_logprobs": 2, "return_token_ids": True}
        told = (await self._post(self.direct, {"model": self.teacher} | asked | more)).json()
        choice, ids = told["choices"][0], told["choices"][0]["token_ids"]
        tokens = choice["logprobs"]["content"]
        prompt = [*told["prompt_token_ids"], *ids]
        body = reading_body(self.teacher, prompt, top=2)
        answer = await self._send(self.direct, "completions", content=body)
        readings, _ = read_back("teacher", answer.content, ids, top=2)
        return Own(
            text=choice["message"]["content"] or "",
            finish_reason=choice["finish_reason"],
            prompt_tokens=told["usage"]["prompt_tokens"],
            texts=_texts(tokens, choice["message"]["content"] or ""),
            token_ids=tuple(ids),
            written=tuple(_lead(each) for each in tokens),
            read=tuple(_read_lead(each) for each in readings),
        )

    async def _whole(self, asked: dict[str, Any]) -> Verified:
        answer = await self._post(self.through, {"model": "support"} | asked)
        body = answer.json()
        choice = body["choices"][0]
        text = choice["message"]["content"] or ""
        return await self._told(answer, text, choice["finish_reason"], body["usage"])

    async def _streamed(self, asked: dict[str, Any]) -> Verified:
        wish = {"stream": True, "stream_options": {"include_usage": True}}
        answer = await self._post(self.through, {"model": "support"} | asked | wish)
        lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
        assert lines[-1] == "[DONE]", lines[-1]
        chunks = [json.loads(line) for line in lines[:-1]]
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        text = "".join(choice["delta"].get("content") or "" for choice in choices)
        return await self._told(answer, text, choices[-1]["finish_reason"], chunks[-1]["usage"])

    async def _told(
        self, answer: httpx.Response, text: str, finish_reason: str, usage: dict[str, int]
    ) -> Verified:
        exchange = await self._traced(answer.headers["x-tutelage-trace-id"])
        work, teacher = exchange.verification, exchange.teacher
        wrote_anew = work is None or work.ending not in {Ending.KEPT, Ending.CONTINUED}
        spent = teacher.usage if teacher is not None and wrote_anew else None
        return Verified(
            text=text,
            finish_reason=finish_reason,
            prompt_tokens=usage["prompt_tokens"],
            completion_tokens=usage["completion_tokens"],
            ending=work.ending if work is not None else None,
            why_not=work.why_not if work is not None else "",
            kept=work.kept if work is not None else 0,
            agreed=work.agreed if work is not None else 0,
            ids=work.token_ids if work is not None else (),
            teacher_tokens=(work.written_tokens if work is not None else 0)
            + (spent.completion_tokens if spent is not None else 0),
        )

    async def _traced(self, trace_id: str) -> Exchange:
        seen = 0
        while True:
            exchange = await self.traces.exchange(seen + 1)
            if exchange.trace_id == trace_id:
                return exchange
            seen += 1

    async def _post(self, client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
        return await self._send(client, "chat/completions", json=body)

    async def _send(self, client: httpx.AsyncClient, path: str, **more: Any) -> httpx.Response:
        answer = await client.post(path, headers={"content-type": "application/json"}, **more)
        return answer.raise_for_status()


@asynccontextmanager
async def _gateway(pair: Pair, wish: Wish) -> AsyncIterator[_Asking]:
    traces = KeptTraces()
    upstreams = {
        "student": {"base_url": pair.student_url, "model": pair.student, "timeouts": PATIENT},
        "teacher": {"base_url": pair.teacher_url, "model": pair.teacher, "timeouts": PATIENT},
    }
    route = {
        "student": "student",
        "teacher": "teacher",
        "gate": {"threshold": NEVER, "window_tokens": wish.window or 1},
        "fallback": "verify",
        "verify": {"tie_nats": wish.tie_nats},
    }
    settings = config.Settings.model_validate(
        {"upstreams": upstreams, "routes": {"support": route}}
    )
    async with (
        running(settings, traces) as (_, url),
        httpx.AsyncClient(base_url=f"{url}/v1/", timeout=None, trust_env=False) as through,
        httpx.AsyncClient(base_url=pair.teacher_url, timeout=None, trust_env=False) as direct,
    ):
        asking = _Asking(pair.teacher, direct, through, traces, wish.window is not None)
        # The pair is examined at its first deferral; those beside it would be answered anew.
        await asking.row([{"role": "user", "content": "Hello."}], 4)
        yield asking


def _texts(tokens: Sequence[dict[str, Any]], text: str) -> tuple[str, ...]:
    """What each token says; nothing for one that ends the turn."""
    said = [str(each["token"]) for each in tokens]
    return (*said[:-1], "") if said and "".join(said) != text else tuple(said)


def _lead(token: dict[str, Any]) -> float:
    others = [each["logprob"] for each in token["top_logprobs"] if each["token"] != token["token"]]
    return float(token["logprob"] - max(others))


def _read_lead(reading: Reading) -> float:
    others = [each.nats for each in reading.top if each.token_id != reading.token_id]
    return reading.nats - max(others)
