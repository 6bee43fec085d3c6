import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.calibration import (
    VERSION,
    Feature,
    Isotonic,
    StaleCalibration,
    UnreadableCalibration,
    decode_calibration,
    encode_calibration,
    features,
    sigmoid,
)
from router.gate import AnswerGate, ConfidenceGate, GateRule, Verdict
from router.signals import read_signals
from tests.router.judged_pairs import DULL, signals_of

logprobs = st.lists(st.floats(max_value=0.0), min_size=1, max_size=9)


def test_features_are_log_odds() -> None:
    read = features(signals_of(0.8))

    assert read[Feature.MEAN] == pytest.approx(math.log(4))
    assert read[Feature.LENGTH] == 0.0
    assert list(read) == list(Feature)


@given(logprobs)
def test_confidence_is_a_probability_whatever_an_engine_sends(values: list[float]) -> None:
    assert 0.0 <= DULL.confidence(read_signals(values)) <= 1.0


@given(st.floats(allow_nan=False))
def test_the_sigmoid_overflows_nowhere(x: float) -> None:
    assert sigmoid(x) == pytest.approx(1.0 - sigmoid(-x))


def test_an_isotonic_map_is_level_beyond_its_ends_and_a_line_between() -> None:
    line = Isotonic(Feature.MEAN, (0.0, 2.0), (0.2, 0.6))

    assert [line({Feature.MEAN: x}) for x in (-5.0, 0.0, 1.0, 2.0, 5.0)] == pytest.approx(
        [0.2, 0.2, 0.4, 0.6, 0.6]
    )


def test_a_gate_rules_by_calibrated_confidence() -> None:
    sure = math.log(0.9)
    gate = ConfidenceGate(GateRule(DULL, 0.6, None, None))
    gate.feed(b"yes", sure)

    assert (
        gate.confidence == DULL.confidence(read_signals([sure])) == pytest.approx(0.5246, abs=1e-4)
    )
    assert gate.finish() is Verdict.ESCALATE


def test_what_a_gate_ruled_by_can_be_told_again_from_the_signals_that_it_leaves() -> None:
    gate = AnswerGate(GateRule(DULL, 0.5, 2, None), 1)
    gate.feed_all(0, [(b"a", -0.1), (b" b", -1.5), (b" c", -9.0)])

    assert gate.signals is not None
    assert gate.confidence == DULL.confidence(gate.signals)


def test_an_artefact_reads_back_as_it_was_written() -> None:
    assert decode_calibration(encode_calibration(DULL)) == DULL


@pytest.mark.parametrize("artefact", [b"", b"{}", b"[]", b'{"version":1}'])
def test_what_is_no_artefact_is_refused(artefact: bytes) -> None:
    with pytest.raises(UnreadableCalibration, match="not a calibration"):
        decode_calibration(artefact)


def test_an_artefact_of_a_newer_version_is_refused() -> None:
    newer = msgspec.structs.replace(DULL, version=VERSION + 1)

    with pytest.raises(UnreadableCalibration, match="newer than"):
        decode_calibration(encode_calibration(newer))


@pytest.mark.parametrize(
    ("student", "label", "window_tokens", "named"),
    [
        ("large", "sentiment", 24, "student"),
        ("small", None, 24, "label"),
        ("small", "sentiment", 8, "window"),
    ],
)
def test_a_calibration_of_another_student_or_reading_is_refused(
    student: str, label: str | None, window_tokens: int, named: str
) -> None:
    DULL.must_fit(student="small", label="sentiment", window_tokens=24)

    with pytest.raises(StaleCalibration, match=named):
        DULL.must_fit(student=student, label=label, window_tokens=window_tokens)
