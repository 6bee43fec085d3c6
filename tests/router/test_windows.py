import pytest
from msgspec.structs import replace

from router.evidence import Record
from router.tuning import Score, Tuned, Wish, tune
from router.windows import Windows
from tests.router.recorded import traffic
from tests.router.streams import WINDOW, streams

WISH = Wish(max_risk=0.06)


def tuned(records: list[Record], wish: Wish = WISH) -> Tuned:
    return tune("support", records, wish, label=None, window_tokens=WINDOW)


def compared(records: list[Record], wish: Wish = WISH) -> Windows:
    found = tuned(records, wish).windows
    assert isinstance(found, Windows)
    return found


def test_the_smallest_window_that_tells_as_much_is_the_cheapest() -> None:
    """Three tokens say nothing; the fourth all that there is, and its drafts cost less."""
    found = compared(streams(3000))

    assert found.streams == 3000
    assert [each.tokens for each in found.tried] == [1, 2, 4, 8, 12, 16, 24]
    assert [each.at is None for each in found.tried] == [True, True, *[False] * 5]
    assert found.cheapest == 4
    assert [each.held_tokens for each in found.tried] == [1, 2, 4, 8, 12, 16, 24]


def test_windows_that_tell_alike_serve_alike_and_differ_by_what_their_drafts_cost() -> None:
    points = [each.at for each in compared(streams(3000)).tried if each.at is not None]
    savings = [each.saving for each in points if each.saving is not None]

    assert len({each.coverage.estimate for each in points}) == 1
    assert len(savings) == len(points)
    assert savings == sorted(savings, reverse=True)
    assert savings[0] > savings[-1]


def test_at_the_live_window_the_confidence_is_the_one_that_ruled() -> None:
    records = streams(1500)
    turned = [(replace(each, opening=None), judged) for each, judged in records[:-1]]
    last = compared([*turned, records[-1]]).tried[-1]
    whole = compared(records).tried[-1]

    assert last.at is not None
    assert whole.at is not None
    assert last.at.coverage == whole.at.coverage


def test_a_calibration_is_fitted_anew_for_every_window() -> None:
    found = compared(streams(3000), Wish(max_risk=0.06, score=Score.CALIBRATED))

    assert found.cheapest == 4
    assert found.tried[0].at is None


def test_confidences_of_no_known_signal_are_a_calibrations() -> None:
    odd = [
        (replace(exchange, confidence=(exchange.confidence or 0.0) / 2), judgements)
        for exchange, judgements in streams(600)
    ]
    found = tuned(odd).windows

    assert isinstance(found, str)
    assert "--score calibrated" in found


@pytest.mark.parametrize(
    ("records", "why"),
    [
        (traffic(600), "no request was ruled on by a window"),
        (
            [
                (
                    replace(
                        exchange,
                        opening=replace(exchange.opening, window=12 if place < 300 else WINDOW)
                        if exchange.opening is not None
                        else None,
                    ),
                    judgements,
                )
                for place, (exchange, judgements) in enumerate(streams(600))
            ],
            "the window was changed on the way",
        ),
    ],
    ids=["whole answers", "changed"],
)
def test_where_windows_cannot_be_compared_the_reason_is_told(
    records: list[Record], why: str
) -> None:
    found = tuned(records).windows

    assert isinstance(found, str)
    assert why in found


def test_without_a_risk_there_is_nothing_to_hold_windows_to() -> None:
    assert tuned(streams(600), Wish(teacher_share=0.3)).windows is None
