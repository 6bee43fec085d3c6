"""Which `window_tokens` costs least at the same risk: openings ruled on again by smaller ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from router.calibration import Calibration
from router.deferral import Bools
from router.evidence import Confidence, Evidence, Record, gather
from router.fitting import calibrate, pairs_of
from router.gate import GateRule, Signal
from router.opening import Opening
from router.replay import Replayed, replay
from router.signals import Signals, read_signals
from router.thresholds import NoSafeThreshold, pick_threshold, plan
from router.trace import Exchange, ServedBy, Usage

_SIZES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_MOST = 6
_SAME = 1e-6
"""Confidences are compared after they were written as JSON and read again."""

Read = Callable[[Sequence[float]], float]


class NoWindows(ValueError):
    """The traces do not tell what another window would have done; the message says why."""


@dataclass(frozen=True, slots=True)
class Window:
    """One size, with a threshold of its own.

    held_tokens: that a stream's client waits for, on average. at: at the threshold that keeps the
    wished risk, or None where none can be promised. All the thresholds of a report hold together:
    each was tested at delta over the number of windows.
    """

    tokens: int
    held_tokens: float
    at: Replayed | None


@dataclass(frozen=True, slots=True)
class Windows:
    """cheapest: the tokens of the window that saves most (whose student serves most, where prices
    are unknown), the smaller of two that save the same; None if no window can be promised.
    streams: requests that a window ruled on and whose opening is known.
    """

    streams: int
    tried: tuple[Window, ...]
    cheapest: int | None


def compare_windows(
    records: Sequence[Record],
    planned: Bools,
    comparator: str,
    *,
    max_risk: float,
    delta: float,
    calibration: Calibration | None,
) -> Windows:
    """`records` as `judgeable` leaves them; `planned`: which of them may be planned on.

    Whole answers are not ruled on by a window: they keep the confidence that they had. calibration:
    the one in use, which is fitted anew for every window; None: the gate's own signal, which is
    recognised by its confidences. Raises NoWindows; and what `calibrate` raises.
    """
    openings = [each.opening for each, _ in records if each.opening is not None]
    if not openings:
        raise NoWindows("no request was ruled on by a window")
    live = openings[-1].window
    if any(each.window != live for each in openings):
        raise NoWindows("the window was changed on the way: take --since the change")
    read = _signal(records) if calibration is None else None
    smaller = [size for size in _SIZES if size < live]
    sizes = [*smaller[-_MOST:], live]
    tried = [
        _try(
            records,
            planned,
            comparator,
            size,
            read=read,
            calibration=calibration,
            max_risk=max_risk,
            delta=delta / len(sizes),
        )
        for size in sizes
    ]
    promised = [each for each in tried if each.at is not None]
    cheapest = max(promised, key=_worth, default=None)
    return Windows(len(openings), tuple(tried), cheapest.tokens if cheapest is not None else None)


def _worth(window: Window) -> tuple[float, float]:
    assert window.at is not None  # noqa: S101 - the caller's filter
    saving = window.at.saving
    return (window.at.coverage.estimate if saving is None else saving, -window.tokens)


def _try(
    records: Sequence[Record],
    planned: Bools,
    comparator: str,
    size: int,
    *,
    read: Read | None,
    calibration: Calibration | None,
    max_risk: float,
    delta: float,
) -> Window:
    if calibration is not None:
        fitted = calibrate(
            pairs_of(compress(records, planned), comparator, _signals(size)),
            student=calibration.student,
            label=calibration.label,
            window_tokens=size,
        )
        read = _calibrated(fitted)
    assert read is not None  # noqa: S101 - one of the two is there
    evidence = gather(records, comparator, _confidence(size, read, calibration))
    evidence = _with_drafts_cut(evidence, records, size)
    planning, testing = evidence.part(planned), evidence.part(~planned)
    thresholds = plan(planning, int(testing.judged.sum()), max_risk=max_risk, delta=delta)
    try:
        threshold = pick_threshold(testing, thresholds, max_risk=max_risk, delta=delta)
    except NoSafeThreshold:
        return Window(size, _held(records, size), None)
    return Window(size, _held(records, size), replay(evidence, threshold, pairs=testing))


def _confidence(size: int, read: Read, calibration: Calibration | None) -> Confidence:
    def confidence(exchange: Exchange) -> float | None:
        if exchange.opening is None:
            if calibration is None or exchange.signals is None:
                return exchange.confidence
            return calibration.confidence(exchange.signals)
        nats = _read(exchange.opening, size)
        return read(nats) if nats else 0.0

    return confidence


def _read(opening: Opening, size: int) -> Sequence[float]:
    """What a window of `size` would have ruled by: nothing, where that is not known."""
    ruled_at = opening.ruled_at(size)
    return opening.read(ruled_at) if ruled_at is not None else ()


def _signal(records: Sequence[Record]) -> Read:
    """The gate's own: the one by which every opening has the confidence that was recorded."""
    told = [
        (each.opening, each.confidence)
        for each, _ in records
        if each.opening is not None and each.confidence is not None and each.opening.nats
    ]
    for signal in Signal:
        confidence = GateRule(signal, 1.0, None, None).confidence
        if all(abs(confidence(each.nats) - said) < _SAME for each, said in told):
            return confidence
    raise NoWindows(
        "a calibration ruled, which was fitted for one window: ask with --score calibrated"
    )


def _calibrated(calibration: Calibration) -> Read:
    def confidence(nats: Sequence[float]) -> float:
        return calibration.confidence(read_signals(nats))

    return confidence


def _signals(size: int) -> Callable[[Exchange], Signals | None]:
    """What a window of `size` would have read."""

    def signals(exchange: Exchange) -> Signals | None:
        if exchange.opening is None:
            return exchange.signals
        nats = _read(exchange.opening, size)
        return read_signals(nats) if nats else None

    return signals


def _held(records: Sequence[Record], size: int) -> float:
    """Mean over the streams; where a ruling is not known, what was read stands for it."""
    openings = [each.opening for each, _ in records if each.opening is not None]
    return sum(each.ruled_at(size) or each.tokens for each in openings) / len(openings)


def _with_drafts_cut(evidence: Evidence, records: Sequence[Record], size: int) -> Evidence:
    """With what the draft of a deferral costs that is hung up on at this window.

    All tokens of the student are priced alike in this: the traces know the sum alone.
    """
    share = np.ones(len(evidence))
    for at, (exchange, _) in enumerate(records):
        opening, usage = exchange.opening, _usage(exchange)
        if opening is None or usage is None:
            continue
        written = usage.completion_tokens
        if exchange.served_by is not ServedBy.STUDENT:
            written = opening.tokens  # it was hung up on there
        read = min(opening.ruled_at(size) or opening.tokens, written)
        share[at] = (usage.prompt_tokens + read) / max(1, usage.prompt_tokens + written)
    return replace(evidence, draft_usd=evidence.student_usd * share)


def _usage(exchange: Exchange) -> Usage | None:
    """The student's; of a draft that was hung up on, which tells none, the teacher's."""
    answers = (exchange.student, exchange.teacher)
    told = (each.usage for each in answers if each is not None and each.usage is not None)
    return next(told, None)
