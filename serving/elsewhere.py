"""Upstreams that run elsewhere: not ours to start, but looked at, whether they answer and how."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from serving.checked import Secret

_PATIENCE_S = 10.0


class Elsewhere(BaseModel):
    """One address of an upstream that no `[engines.*]` serves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upstream: str
    base_url: str
    model: str | None
    api_key: Secret | None


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of it."""

    state: str
    """answers | refuses | unreachable"""
    note: str


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: tuple[_Model, ...] = ()


def look(
    place: Elsewhere, env: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic
) -> Sight:
    """Asks for its models, which costs nothing anywhere; `tutelage doctor` asks for more."""
    key = env.get(place.api_key.env) if place.api_key else None
    if place.api_key and not key:
        return Sight("refuses", f"its key is not here: {place.api_key.env} is not set")
    began = clock()
    try:
        reply = httpx.get(
            f"{place.base_url.rstrip('/')}/models",
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=_PATIENCE_S,
        )
    except httpx.HTTPError as error:
        return Sight("unreachable", str(error) or type(error).__name__)
    took_ms = (clock() - began) * 1000
    if reply.status_code != httpx.codes.OK:
        return Sight("refuses", f"GET /models: status {reply.status_code}")
    try:
        listed = [each.id for each in TypeAdapter(_Models).validate_json(reply.content).data]
    except ValidationError:
        return Sight("answers", f"in {took_ms:.0f} ms, but not with a list of models")
    if place.model is not None and place.model not in listed:
        return Sight("answers", f"but has no {place.model!r}: {', '.join(listed[:4]) or 'none'}")
    return Sight("answers", f"in {took_ms:.0f} ms")
