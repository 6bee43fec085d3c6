import math

import numpy as np
import pytest

from router.calibration import Calibration, Feature, Logistic, Method
from router.deferral import NoContrast, auroc
from router.fitting import (
    CANDIDATES,
    Candidate,
    Pair,
    Sample,
    TooFewPairs,
    calibrate,
    cross_validate,
    predict,
    score,
)
from router.signals import read_signals
from tests.router.judged_pairs import DULL, overconfident, signals_of

PLATT = Candidate(Method.PLATT, Feature.MEAN)


def calibrated(pairs: list[Pair]) -> Calibration:
    return calibrate(pairs, student="small", label=None, window_tokens=24)


def test_platt_finds_the_odds_that_the_pairs_were_made_with() -> None:
    fitted = PLATT.fit(Sample.of(overconfident(20_000, seed=1)))

    assert isinstance(fitted, Logistic)
    assert fitted.weights[Feature.MEAN] == pytest.approx(0.5, abs=0.03)
    assert fitted.intercept == pytest.approx(-1.0, abs=0.06)


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda c: f"{c.method} {c.feature}")
def test_calibration_brings_the_error_down_on_pairs_not_seen(candidate: Candidate) -> None:
    seen, unseen = (Sample.of(overconfident(2_000, seed=seed)) for seed in (2, 3))
    said = 1.0 / (1.0 + np.exp(-unseen.features[:, 0]))
    before = score(said, unseen.agreement, unseen.weight)

    after = score(predict(candidate.fit(seen), unseen.features), unseen.agreement, unseen.weight)

    assert before.ece > 0.2
    assert after.ece < (0.15 if candidate.method is Method.TEMPERATURE else 0.03)
    assert after.brier < before.brier
    assert after.log_loss < before.log_loss


def test_propensities_undo_what_the_sampling_did() -> None:
    """Doubtful answers are all judged, sure ones one in ten."""
    drawn = np.random.default_rng(5).random(40_000)
    kept = []
    for pair, draw in zip(overconfident(40_000, seed=4), drawn, strict=True):
        propensity = 1.0 if pair.signals.mean_nats < math.log(0.8) else 0.1
        if draw < propensity:
            kept.append(Pair(pair.signals, pair.agreement, propensity))
    everyone = Sample.of(overconfident(40_000, seed=6))
    sample = Sample.of(kept)

    # A constant: the one thing that is wrong where it is fitted on the wrong mixture.
    flat = float(np.average(sample.agreement, weights=sample.weight))

    assert flat == pytest.approx(everyone.agreement.mean(), abs=0.02)
    assert sample.agreement.mean() < everyone.agreement.mean() - 0.05


def test_isotonic_never_says_less_where_the_student_is_surer_and_never_one() -> None:
    fitted = Candidate(Method.ISOTONIC, Feature.MEAN).fit(Sample.of(overconfident(300, seed=7)))
    grid = np.zeros((200, len(Feature)))
    grid[:, 0] = np.linspace(-16, 16, 200)
    values = predict(fitted, grid)

    assert (np.diff(values) >= 0).all()
    assert values.min() > 0.0
    assert values.max() < 1.0


def test_the_head_learns_what_the_mean_hides() -> None:
    """Agreement hangs on the first token alone; the others are noise."""
    random = np.random.default_rng(8)
    pairs = []
    for nats in random.uniform(-3.0, 0.0, (1_500, 6)).tolist():
        agrees = random.random() < math.exp(nats[0])
        pairs.append(Pair(read_signals(nats), float(agrees), 1.0))

    found = calibrated(pairs)
    right = np.array([pair.agreement == 1.0 for pair in pairs])
    ours = np.array([found.confidence(pair.signals) for pair in pairs])
    mean = np.array([pair.signals.mean_nats for pair in pairs])

    assert found.method is Method.HEAD
    assert auroc(ours, right) > auroc(mean, right) + 0.1


def test_the_one_of_the_least_log_loss_on_pairs_not_seen_is_chosen() -> None:
    pairs = overconfident(600, seed=9)
    tried = cross_validate(Sample.of(pairs))
    found = calibrated(pairs)

    assert found.scores == min((each.scores for each in tried), key=lambda each: each.log_loss)
    assert found.pairs == 600


def test_a_student_that_agrees_by_chance_gets_no_confidence_from_the_many_candidates() -> None:
    random = np.random.default_rng(10)
    chance = [
        Pair(signals_of(p), float(random.random() < 0.5), 1.0)
        for p in random.uniform(0.2, 0.99, 1_000).tolist()
    ]

    found = calibrated(chance)

    assert found.scores.brier == pytest.approx(0.25, abs=0.01)
    assert 0.35 < found.confidence(signals_of(0.99)) < 0.65


def test_too_few_pairs_and_pairs_that_all_agree_are_refused() -> None:
    with pytest.raises(TooFewPairs, match="12 judged pairs"):
        calibrated(overconfident(12, seed=1))
    alike = [Pair(signals_of(0.9), 1.0, 1.0)] * 60
    with pytest.raises(NoContrast, match="60 judged pairs"):
        calibrated(alike)


def test_the_fit_is_as_good_as_the_truth_on_pairs_not_seen() -> None:
    unseen = Sample.of(overconfident(20_000, seed=11))
    found = calibrated(overconfident(3_000, seed=12))
    ours = score(predict(found.map, unseen.features), unseen.agreement, unseen.weight)
    truth = score(predict(DULL.map, unseen.features), unseen.agreement, unseen.weight)

    assert ours.log_loss < truth.log_loss + 0.005
    assert ours.ece < 0.02
