"""What `benchmarks.confidence` reads and draws, without the half hour of engines."""

from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest

from benchmarks.confidence_plot import curve, curves
from benchmarks.confidence_promise import kept, splits
from benchmarks.confidence_scores import Part
from benchmarks.confidence_traffic import Asked
from tests.router.recorded import traffic


def test_a_curve_goes_from_the_students_agreement_to_all() -> None:
    agrees = np.array([True, False, True, True])

    assert curve(np.array([0.9, 0.1, 0.5, 0.4]), agrees).tolist() == [0.75, 1.0, 1.0, 1.0, 1.0]
    assert curve(np.array([0.1, 0.9, 0.5, 0.4]), agrees).tolist() == [0.75, 0.75, 0.75, 0.75, 1.0]


def test_the_picture_names_every_line() -> None:
    line = np.array([0.8, 0.9, 1.0])
    texts = [
        each.text for each in ET.fromstring(curves([("a < b", line), ("oracle", line)], "title"))
    ]

    assert {"a < b", "oracle", "title"} <= set(texts)


def test_a_reply_of_an_engine_is_read() -> None:
    alternative = {"token": "negative", "logprob": -0.1}
    content = {"content": [alternative | {"top_logprobs": [alternative]}]}
    line = {
        "part": "shadow",
        "id": "a",
        "trace": "t",
        "reply": {"choices": [{"logprobs": content}]},
    }
    asked = msgspec.json.decode(msgspec.json.encode(line), type=Asked)

    assert asked.tokens[0].top_logprobs[0].logprob == -0.1


def test_a_promise_is_kept_on_the_other_half_of_the_same_traffic() -> None:
    def part(seed: int) -> Part:
        records = [each for each in traffic(2000, seed=seed, rate=1.0) if each[1]]
        for exchange, judgements in records:
            assert exchange.signals is not None
            assert judgements
        truth = np.ones(len(records), dtype=np.bool_)
        return Part(records, [], [], truth, truth)

    (found,) = kept(part(0), part(1), [0.1], 0.1)
    halves = splits(part(0), part(1), 0.1, 0.1, times=50)

    assert found.later is not None
    assert found.later.risk is not None
    assert found.later.risk.lower <= 0.1
    assert halves.picked > 45
    assert halves.surely.estimate <= 0.1
    assert halves.coverage == pytest.approx(0.9, abs=0.1)
