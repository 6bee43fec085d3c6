"""Drift: a change is found, and where there is none an alarm is as rare as is stated."""

import numpy as np
import pytest
from msgspec.structs import replace

from router.deferral import Floats
from router.drift import ENOUGH, Detector, Reading, bin_of, read, reference_of
from router.interval import wilson_interval
from router.psi import psi
from tests.router.recorded import traffic

PER = 400.0
REPLICATES = 300


def detector(reference: Floats, *, per: float = PER) -> Detector:
    counts = reference_of({Reading.CONFIDENCE: reference.tolist()}).of(Reading.CONFIDENCE)
    assert counts is not None
    return Detector(Reading.CONFIDENCE, counts, per=per)


def first_alarm(made: Detector, values: Floats, world: int = 0) -> int | None:
    """After how many of the values, if at all."""
    for place, value in enumerate(values.tolist()):
        made.see(value, of=f"{world} {place}")
        if made.evidence >= 1.0:
            return place + 1
    return None


@pytest.fixture(scope="module")
def unchanged() -> list[int]:
    """When a false alarm came in each of the worlds; at most four times `PER`."""
    found = []
    for world in range(REPLICATES):
        random = np.random.default_rng(world)
        values = random.beta(4, 1, 300 + 4 * int(PER))
        came = first_alarm(detector(values[:300]), values[300:], world)
        found.append(came if came is not None else 4 * int(PER))
    return found


def test_false_alarms_come_no_sooner_than_stated_on_average(unchanged: list[int]) -> None:
    """The mean of times that are cut short is below that of the whole ones."""
    assert np.mean(unchanged) >= PER


@pytest.mark.parametrize("readings", [20, 100, 200])
def test_the_chance_of_one_within_some_readings_is_as_stated(
    unchanged: list[int], readings: int
) -> None:
    early = sum(came <= readings for came in unchanged) / REPLICATES

    assert wilson_interval(early, REPLICATES).lower <= readings / PER


@pytest.mark.parametrize(
    ("after", "within"),
    [((4, 2), 150), ((8, 1), 300), ((2, 0.5), 700)],
    ids=["less sure", "surer", "as sure on average, but wider"],
)
def test_a_change_is_found_soon_though_false_alarms_are_rare(
    after: tuple[float, float], within: int
) -> None:
    times = []
    for world in range(20):
        random = np.random.default_rng(world)
        made = detector(random.beta(4, 1, 2000), per=100_000.0)
        came = first_alarm(made, random.beta(*after, 2000), world)
        assert came is not None
        times.append(came)

    assert np.median(times) <= within


def test_an_alarm_ends_some_time_after_its_cause() -> None:
    random = np.random.default_rng(0)
    made = detector(random.beta(4, 1, 2000), per=10_000.0)
    changed = first_alarm(made, random.beta(1, 1, 500))
    for place, value in enumerate(random.beta(4, 1, 2000).tolist()):
        made.see(value, of=f"again {place}")

    assert changed is not None
    assert made.evidence < 1.0
    assert made.found().alarmed_after == changed


def test_the_same_traffic_makes_the_same_evidence_wherever_it_is_computed() -> None:
    random = np.random.default_rng(0)
    reference, values = random.beta(4, 1, 500), random.beta(3, 1, 300)
    found = []
    for _ in range(2):
        made = detector(reference)
        first_alarm(made, values)
        found.append(made.found())

    assert found[0] == found[1]


def test_a_reference_that_is_too_small_is_none() -> None:
    few = reference_of({Reading.AGREEMENT: [1.0] * (ENOUGH - 1)})
    other_bins = replace(few, counts={"agreement": (ENOUGH, 1)})

    assert few.of(Reading.AGREEMENT) is None
    assert few.of(Reading.CONFIDENCE) is None
    assert other_bins.of(Reading.AGREEMENT) is None


@pytest.mark.parametrize("value", [0.0, 1e-300, 0.5, 1.0, 1e300])
@pytest.mark.parametrize("reading", list(Reading))
def test_every_value_has_a_bin(reading: Reading, value: float) -> None:
    counts = reference_of({reading: [value] * ENOUGH}).of(reading)

    assert counts is not None
    assert counts[bin_of(reading, value)] == ENOUGH


def test_a_request_shows_what_it_has() -> None:
    (exchange, _), *_ = traffic(1)

    assert read(exchange) == {
        Reading.CONFIDENCE: exchange.confidence,
        Reading.DECIDING_TOKENS: 1,
    }
    assert read(replace(exchange, confidence=None, signals=None)) == {}


def test_a_false_alarm_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="per must be above 1, got 1"):
        detector(np.full(ENOUGH, 0.5), per=1.0)


def test_psi_is_the_sum_that_it_is_named_for() -> None:
    found = psi([5000, 5000], [2500, 7500])

    assert found.value == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5), rel=1e-3)
    assert psi([50, 50], [0, 0]).value == 0.0
    with pytest.raises(ValueError, match="as many bins"):
        psi([1], [1, 2])


def test_samples_of_one_distribution_stay_under_what_chance_makes_of_it() -> None:
    random = np.random.default_rng(0)
    over = 0
    for _ in range(1000):
        reference, recent = random.integers(0, 20, (2, 1000))
        counts = [np.bincount(each, minlength=20).tolist() for each in (reference, recent)]
        found = psi(*counts)
        over += found.value > found.by_chance

    assert wilson_interval(over / 1000, 1000).lower <= 0.01
