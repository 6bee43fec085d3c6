"""What `benchmarks.confidence` compares: ways to say how far a student's answer is to be trusted.

Each is a number a request, high where the teacher should agree. What is fitted or chosen is fitted
and chosen on the one part, and told of the other.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.confidence_traffic import FIT, HELD_OUT, Asked, Token, read
from gateway.traces.reading import SqliteReader
from router.calibration import Calibration
from router.deferral import Bools, Floats, auroc
from router.difficulty import fit_difficulty
from router.evidence import Record, agreement_of
from router.fitting import Pair, calibrate, fit_weights
from router.gate import ConfidenceGate, GateRule, Signal
from serving.embedded import ROUTE
from serving.triage.dataset import load
from serving.triage.task import Sentiment

COMPARATOR = "label"
LABEL = "sentiment"
WINDOW_TOKENS = 24
_LABELS = [each.value for each in Sentiment]
_QUANTILES = (0.0, 0.1, 0.25, 0.5)
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Part:
    """One entry a request, in the order of arrival."""

    records: list[Record]
    asked: list[Asked]
    prompts: list[str]
    agrees: Bools
    gold: Bools
    """Whether the student's label is the raters'."""

    def __len__(self) -> int:
        return len(self.asked)


@dataclass(frozen=True, slots=True)
class Scored:
    """A way, and its scores of the held-out part; claims: to be a probability."""

    name: str
    scores: Floats
    claims: bool = False


def read_parts(folder: Path) -> tuple[Part, Part]:
    """What is fitted on, and what is held out: of the requests that have a pair."""
    texts = {item.id: item for part in (FIT, HELD_OUT) for item in load(part)}
    with SqliteReader(folder / "traces.db") as reader:
        records = {each[0].trace_id: each for each in reader.of_route(ROUTE)}
    parts = []
    for part in (FIT, HELD_OUT):
        judged = [
            (records[each.trace], each)
            for each in read(folder)
            if each.part == part.value
            and each.trace in records
            and agreement_of(records[each.trace][1], COMPARATOR) is not None
        ]
        parts.append(
            Part(
                records=[record for record, _ in judged],
                asked=[each for _, each in judged],
                prompts=[texts[each.id].text for _, each in judged],
                agrees=np.array(
                    [agreement_of(found, COMPARATOR) == 1.0 for (_, found), _ in judged]
                ),
                gold=np.array(
                    [_label(each) == texts[each.id].gold.sentiment.value for _, each in judged]
                ),
            )
        )
    return parts[0], parts[1]


def all_scores(fit: Part, held_out: Part) -> list[Scored]:
    """From the crudest on."""
    quantile = max(_QUANTILES, key=lambda each: auroc(_each(fit, _quantile(each)), fit.agrees))
    calibration = calibrate(
        _pairs(fit), student="triage-student", label=LABEL, window_tokens=WINDOW_TOKENS
    )
    weight = np.ones(len(fit))
    difficulty = fit_difficulty(fit.prompts, fit.agrees.astype(float), weight)
    rich, both = _rich_head(fit, held_out), _with_router(fit, held_out)
    gate = f"calibrated ({calibration.method}), as the gate would"
    return [
        Scored("mean logprob, whole answer", _each(held_out, _mean)),
        Scored(f"quantile {quantile:g} of the whole answer", _each(held_out, _quantile(quantile))),
        Scored("mean over all JSON values", _each(held_out, _confidence(None)), claims=True),
        Scored("the deciding token", _each(held_out, _confidence(LABEL)), claims=True),
        Scored("its margin over the next", _each(held_out, _margin)),
        Scored("its entropy, negative", _each(held_out, lambda each: -_entropy(each))),
        Scored(gate, _by(held_out, calibration), claims=True),
        Scored("learned head on all of these, answer and length", rich, claims=True),
        Scored("pre-generation router", difficulty.agreement(held_out.prompts), claims=True),
        Scored("head and router together", both, claims=True),
    ]


def _each(part: Part, score: Callable[[Asked], float]) -> Floats:
    return np.array([score(each) for each in part.asked])


def _mean(asked: Asked) -> float:
    return float(np.mean([token.logprob for token in asked.tokens]))


def _quantile(share: float) -> Callable[[Asked], float]:
    """Gupta et al. 2024: of the token log-probabilities."""
    return lambda asked: float(
        np.quantile([token.logprob for token in asked.tokens], share, method="inverted_cdf")
    )


def _confidence(label: str | None) -> Callable[[Asked], float]:
    """By the gate itself, replayed on the tokens."""
    rule = GateRule(Signal.MEAN_PROBABILITY, 0.5, None, label)

    def of(asked: Asked) -> float:
        gate = ConfidenceGate(rule)
        gate.feed_all((token.token.encode(), token.logprob) for token in asked.tokens)
        gate.finish()
        return gate.confidence or 0.0

    return of


def _deciding(asked: Asked) -> Token:
    return next(token for token in asked.tokens if token.token in _LABELS)


def _label(asked: Asked) -> str:
    return _deciding(asked).token


def _margin(asked: Asked) -> float:
    """Of the two likeliest tokens."""
    first, second, *_ = sorted(-each.logprob for each in _deciding(asked).top_logprobs)
    return math.exp(-first) - math.exp(-second)


def _entropy(asked: Asked) -> float:
    """Nats; the tail beyond the tokens that were told counts as one: a lower bound."""
    told = [math.exp(each.logprob) for each in _deciding(asked).top_logprobs]
    tail = max(0.0, 1.0 - sum(told))
    return -sum(p * math.log(p) for p in (*told, tail) if p > 0.0)


def _by(part: Part, calibration: Calibration) -> Floats:
    signals = (exchange.signals for exchange, _ in part.records)
    return np.array([calibration.confidence(each) if each else 0.0 for each in signals])


def _pairs(part: Part) -> Sequence[Pair]:
    return [
        Pair(exchange.signals, float(agrees), 1.0)
        for (exchange, _), agrees in zip(part.records, part.agrees, strict=True)
        if exchange.signals is not None
    ]


def _features(part: Part) -> Floats:
    """Log-odds of the label, of the least value and of the whole; margin, entropy, which label, its
    product with the log-odds, the length of the prompt.
    """
    logit = _logit(_each(part, _confidence(LABEL)))
    labels = np.array([[_label(each) == name for name in _LABELS] for each in part.asked], float)
    columns: Mapping[str, Floats] = {
        "values": _logit(_each(part, _confidence(None))),
        "whole": _each(part, _mean),
        "margin": _each(part, _margin),
        "entropy": _each(part, _entropy),
        "length": np.log1p([float(len(each)) for each in part.prompts]),
    }
    return np.column_stack([logit, *columns.values(), labels, labels * logit[:, None]])


def _logit(p: Floats) -> Floats:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p / (1 - p)))


def _rich_head(fit: Part, held_out: Part) -> Floats:
    return _logistic(_features(fit), fit.agrees, _features(held_out))


def _with_router(fit: Part, held_out: Part) -> Floats:
    """The router's log-odds join the features: out of fold where the head is fitted."""
    agrees, weight = fit.agrees.astype(float), np.ones(len(fit))
    fold = np.random.default_rng(0).permutation(len(fit)) % _FOLDS
    seen = np.empty(len(fit))
    for each in range(_FOLDS):
        inside = np.flatnonzero(fold != each)
        model = fit_difficulty([fit.prompts[at] for at in inside], agrees[inside], weight[inside])
        outside = np.flatnonzero(fold == each)
        seen[outside] = model.agreement([fit.prompts[at] for at in outside])
    model = fit_difficulty(fit.prompts, agrees, weight)
    ahead = np.column_stack([_features(held_out), _logit(model.agreement(held_out.prompts))])
    return _logistic(np.column_stack([_features(fit), _logit(seen)]), fit.agrees, ahead)


def _logistic(features: Floats, agrees: Bools, ahead: Floats) -> Floats:
    """Standardised, with standard normal priors on the weights, as `router.fitting`'s head."""
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    design, new = (
        np.column_stack([np.ones(len(each)), (each - centre) / spread])
        for each in (features, ahead)
    )
    penalty = np.diag([1e-6, *[1.0] * features.shape[1]])
    weights = fit_weights(design, agrees.astype(float), np.ones(len(agrees)), penalty)
    return np.asarray(1.0 / (1.0 + np.exp(-(new @ weights))))
