"""The figures of a route, from its exchanges and judgements."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from router.fidelity import Fidelity, estimate_fidelity
from router.trace import Reason

_PINNED = Reason.PINNED.value


class Served(NamedTuple):
    """What `RouteStats` needs of an exchange."""

    route: str
    served_by: str | None
    reason: str | None
    outcome: str
    confidence: float | None
    total_s: float
    cost_usd: float | None
    saved_usd: float | None


class Judged(NamedTuple):
    """What `RouteStats` needs of a judgement."""

    route: str
    served_by: str | None
    judge: str
    comparator: str
    agreement: float
    propensity: float


class Unjudged(NamedTuple):
    """Sampled requests whose shadow brought no pair. fate: `shed`, `failed`."""

    route: str
    fate: str
    requests: int


class Feedback(NamedTuple):
    """What readers sent on what one model served. mean_score: None where nobody gave one."""

    served_by: str | None
    received: int
    scored: int
    mean_score: float | None


class Drafts(NamedTuple):
    """Tokens that were drafted for a route's answers; None where no engine told of any."""

    route: str
    tokens: int | None
    accepted: int | None

    @property
    def acceptance(self) -> float | None:
        return self.accepted / self.tokens if self.tokens and self.accepted is not None else None


class Latency(msgspec.Struct, frozen=True):
    """Seconds from arrival to the last byte."""

    served_by: str
    requests: int
    p50_s: float
    p95_s: float


class Agreement(msgspec.Struct, frozen=True):
    """How often the two models agreed, and on what.

    by shadow, served by the student: the route's fidelity. by fallback: what the gate sent on;
    where these agree the deferral was not needed. served_by teacher, by shadow: what the student
    would have done.
    """

    by: str
    served_by: str
    comparator: str
    share: Fidelity


class RouteStats(msgspec.Struct, frozen=True):
    """coverage: the student's share of what was served, pinned requests (a client's own choice)
    left out. unjudged: sampled requests without a pair, by fate; the agreements by shadow hold only
    as far as these are like the others. Money is None where prices are unknown. draft_acceptance:
    of a route that speculates, the accepted share of the drafted tokens.
    """

    route: str
    requests: int
    coverage: float | None
    reasons: dict[str, int]
    outcomes: dict[str, int]
    mean_confidence: float | None
    agreements: list[Agreement]
    unjudged: dict[str, int]
    feedback: list[Feedback]
    latencies: list[Latency]
    cost_usd: float | None
    saved_usd: float | None
    draft_acceptance: float | None = None

    def fidelity(self) -> list[Agreement]:
        """One for each comparator; empty where nothing that the student served was judged."""
        return [each for each in self.agreements if (each.by, each.served_by) == _FIDELITY]


_FIDELITY = ("shadow", "student")


def summarise(
    served: Iterable[Served],
    judged: Iterable[Judged],
    feedback: Iterable[tuple[str, Feedback]] = (),
    unjudged: Iterable[Unjudged] = (),
    drafted: Iterable[Drafts] = (),
) -> list[RouteStats]:
    """One entry a route, by name. feedback: with its route's name."""
    exchanges, pairs, felt = defaultdict(list), defaultdict(list), defaultdict(list)
    lost: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for exchange in served:
        exchanges[exchange.route].append(exchange)
    for pair in judged:
        pairs[pair.route].append(pair)
    for route, each in feedback:
        felt[route].append(each)
    for route, fate, requests in unjudged:
        lost[route][fate] = requests
    drafts = {each.route: each.acceptance for each in drafted}
    return [
        msgspec.structs.replace(
            _route(name, exchanges[name], pairs[name], felt[name], lost[name]),
            draft_acceptance=drafts.get(name),
        )
        for name in sorted(exchanges)
    ]


def _route(
    name: str,
    exchanges: Sequence[Served],
    judged: Sequence[Judged],
    feedback: list[Feedback],
    unjudged: dict[str, int],
) -> RouteStats:
    answered = [each.served_by for each in exchanges if each.served_by and each.reason != _PINNED]
    confidences = [each.confidence for each in exchanges if each.confidence is not None]
    return RouteStats(
        route=name,
        requests=len(exchanges),
        coverage=answered.count("student") / len(answered) if answered else None,
        reasons=dict(Counter(each.reason or "none" for each in exchanges).most_common()),
        outcomes=dict(Counter(each.outcome for each in exchanges).most_common()),
        mean_confidence=math.fsum(confidences) / len(confidences) if confidences else None,
        agreements=_agreements(judged),
        unjudged=unjudged,
        feedback=feedback,
        latencies=_latencies(exchanges),
        cost_usd=_sum(each.cost_usd for each in exchanges),
        saved_usd=_sum(each.saved_usd for each in exchanges),
    )


def _agreements(judged: Sequence[Judged]) -> list[Agreement]:
    groups = defaultdict(list)
    for each in judged:
        key = (each.judge, each.served_by or "none", each.comparator)
        groups[key].append((each.agreement, each.propensity))
    return [
        Agreement(*key, share)
        for key, pairs in sorted(groups.items())
        if (share := estimate_fidelity(pairs)) is not None
    ]


def _latencies(exchanges: Sequence[Served]) -> list[Latency]:
    times = defaultdict(list)
    for each in exchanges:
        if each.served_by is not None:
            times[each.served_by].append(each.total_s)
    return [
        Latency(name, len(values), quantile(values, 0.5), quantile(values, 0.95))
        for name, values in sorted(times.items())
    ]


def quantile(values: Iterable[float], share: float) -> float:
    """Nearest rank: the smallest value that at least this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None
