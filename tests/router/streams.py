"""Recorded streams of a route, whose openings tell more the longer they are."""

import math

import numpy as np
from msgspec import Raw
from msgspec.structs import replace

from router.evidence import Record
from router.opening import Opening
from router.signals import mean_probability, read_signals
from router.trace import Usage
from tests.router.recorded import traffic

WINDOW = 24
SILENT = 3
"""Tokens at the beginning that every answer is equally sure of."""


def streams(number: int, *, seed: int = 0) -> list[Record]:
    """Of `traffic`, each 40 tokens long: after the silent ones every token has the confidence by
    which the answer is as often right. A student that was hung up on has told no usage.
    """
    records: list[Record] = []
    for exchange, judgements in traffic(number, seed=seed):
        assert exchange.confidence is not None
        assert exchange.student is not None
        nats = [-0.01] * SILENT + [math.log(exchange.confidence)] * (WINDOW - SILENT)
        served = exchange.served_by == "student"
        usage = Usage(20, 40, 0) if served else None
        whole = Usage(20, 40, 0)
        streamed = replace(
            exchange,
            stream=True,
            confidence=mean_probability(nats),
            signals=read_signals(nats),
            opening=Opening(
                window=WINDOW,
                begun=0,
                tokens=WINDOW,
                places=tuple(range(1, WINDOW + 1)),
                nats=tuple(nats),
                value_end=1,
            ),
            student=replace(exchange.student, usage=usage),
            teacher=None if served else replace(exchange.student, usage=whole),
        )
        records.append((streamed, judgements))
    return records


def in_two_languages(number: int, *, seed: int = 0) -> list[Record]:
    """`traffic` in which of every hundred requests 29 are tagged `de`, one `fi`, the rest `en`;
    of those in `de` the student gets half wrong, of the others two in a thousand.
    """
    random = np.random.default_rng(seed)
    records: list[Record] = []
    for exchange, judgements in traffic(number, seed=seed):
        place = random.integers(100)
        language = "fi" if place == 0 else "de" if place < 30 else "en"
        share = 0.5 if language == "de" else 0.998
        agreement = float(random.random() < share)
        judged = tuple(replace(each, agreement=agreement) for each in judgements)
        request = b'{"metadata":{"language":"%b"}}' % language.encode()
        records.append((replace(exchange, request=Raw(request)), judged))
    return records
