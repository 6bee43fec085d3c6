"""The same threshold looked at slice by slice: by caller, by tag, by script of what was asked."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec
import numpy as np

from router.deferral import Bools
from router.evidence import Evidence, Record
from router.replay import Replayed, replay
from router.thresholds import NoSafeThreshold, pick_threshold, plan, promise
from router.trace import Exchange

MOST_SLICES = 10
OTHERS = "(others)"
UNTOLD = "(none)"
_LETTERS = 2000
_TAG = "metadata."
_LONGEST_NAME = 64


class UnknownSlicing(ValueError):
    """There is no such way to slice; the message lists those there are."""


class Standing(StrEnum):
    """Of a slice at the threshold that the report is about.

    kept: the wished risk is promised in it too. broken: it is exceeded there, beyond chance.
    unproven: neither; too few pairs.
    """

    KEPT = "kept"
    UNPROVEN = "unproven"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Slice:
    """requests, at: of the slice alone. threshold: from which on the wished risk is promised in it;
    None if none can be.
    """

    name: str
    requests: int
    at: Replayed
    standing: Standing
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Slices:
    """by: as it was asked for. The most frequent values, by their requests; the rest is OTHERS.

    All promises of all slices hold together: each was tested at delta over the number of slices.
    """

    by: str
    slices: tuple[Slice, ...]


def slicing(by: str) -> Callable[[Exchange], str]:
    """`caller`, `script` or `metadata.KEY`. Raises UnknownSlicing."""
    if by == "caller":
        return lambda exchange: exchange.caller or UNTOLD
    if by == "script":
        return _script
    if by.startswith(_TAG) and by != _TAG:
        return lambda exchange: _tag(exchange, by.removeprefix(_TAG))
    raise UnknownSlicing(
        f"{by!r} is no way to slice; take caller, script or metadata.KEY, a key of the requests' "
        "metadata"
    )


def slice_up(
    by: str,
    records: Sequence[Record],
    evidence: Evidence,
    planned: Bools,
    *,
    threshold: float,
    plan_of_all: Sequence[float],
    max_risk: float | None,
    delta: float,
) -> Slices:
    """`evidence`: of these records, one entry each. plan_of_all: the thresholds, strict first, that
    were planned for all of them; `threshold` is one of these, or suggested by no pair. Raises
    UnknownSlicing.

    Slices are formed by what was asked, never by how it came out, so a Bonferroni correction is all
    that looking at several of them takes.
    """
    slice_of = slicing(by)
    names = [slice_of(exchange) for exchange, _ in records]
    often = [name for name, _ in Counter(names).most_common(MOST_SLICES)]
    names = [name if name in often else OTHERS for name in names]
    every = [*often, OTHERS] if OTHERS in names and OTHERS not in often else often
    found = []
    for name in every:
        inside = np.array([each == name for each in names])
        one = _Slice(evidence.part(inside), planned[inside])
        at = replay(one.evidence, threshold, pairs=one.testing)
        standing, own = Standing.UNPROVEN, None
        if max_risk is not None:
            share = delta / len(every)
            standing, own = _judge(one, threshold, plan_of_all, max_risk=max_risk, delta=share)
        found.append(Slice(name, len(one.evidence), at, standing, own))
    return Slices(by, tuple(found))


class _Slice:
    def __init__(self, evidence: Evidence, planned: Bools) -> None:
        self.evidence = evidence
        self.planning, self.testing = evidence.part(planned), evidence.part(~planned)


def _judge(
    one: _Slice,
    threshold: float,
    plan_of_all: Sequence[float],
    *,
    max_risk: float,
    delta: float,
) -> tuple[Standing, float | None]:
    """By a fixed sequence of the slice's own: the thresholds of all, from where its pairs may do.

    No pair of the testing part has a say in the sequence, so a promise in it at `threshold` holds,
    although `threshold` was picked by pairs of which these are a part.
    """
    begins = plan(one.planning, int(one.testing.judged.sum()), max_risk=max_risk, delta=delta)[:1]
    through = sorted({*plan_of_all, threshold}, reverse=True)
    lenient = [each for each in through if not begins or each <= begins[0]]
    own: float | None = None
    if lenient and len(one.testing):
        try:
            own = pick_threshold(one.testing, lenient, max_risk=max_risk, delta=delta)
        except NoSafeThreshold:
            own = None
    if own is not None and own <= threshold <= lenient[0]:
        return Standing.KEPT, own
    served = one.testing.part(one.testing.served(threshold) & one.testing.judged)
    turned = replace(one.testing, loss=1.0 - one.testing.loss)
    if len(served):
        agreement = promise(turned, threshold, max_risk=max_risk, delta=delta).risk_bound
        if 1.0 - agreement > max_risk:
            return Standing.BROKEN, own
    return Standing.UNPROVEN, own


class _Said(msgspec.Struct):
    """What a client sent, as far as slices look at it; anything else in these fields is ignored."""

    metadata: object = None
    messages: object = None
    prompt: object = None
    input: object = None


def _said(exchange: Exchange) -> _Said:
    if isinstance(exchange.request, msgspec.UnsetType):
        return _Said()
    try:
        return msgspec.json.decode(exchange.request, type=_Said)
    except msgspec.DecodeError:
        return _Said()


def _tag(exchange: Exchange, key: str) -> str:
    metadata = _said(exchange).metadata
    value = metadata.get(key) if isinstance(metadata, dict) else None
    return str(value)[:_LONGEST_NAME] if isinstance(value, str | int | float) else UNTOLD


def _script(exchange: Exchange) -> str:
    """That of most letters that users wrote: latin, cyrillic, cjk, as Unicode names begin."""
    said = _said(exchange)
    messages = said.messages if isinstance(said.messages, list) else []
    theirs = [
        each.get("content")
        for each in messages
        if isinstance(each, dict) and each.get("role") == "user"
    ]
    text = "".join(_words([*theirs, said.prompt, said.input]))[:_LETTERS]
    names = (unicodedata.name(each, "").split(" ", 1)[0] for each in text if each.isalpha())
    most = Counter(names).most_common(1)
    return most[0][0].lower() if most else UNTOLD


def _words(said: object) -> list[str]:
    """All text in it: of content parts, of a list of messages."""
    if isinstance(said, str):
        return [said]
    if isinstance(said, list):
        return [word for each in said for word in _words(each)]
    if isinstance(said, dict):
        return _words([said.get("text"), said.get("content")])
    return []
