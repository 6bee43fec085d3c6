"""The shipped data: what it holds, and that its split cannot leak."""

import pytest

from serving.triage.dataset import (
    DATA_FILE,
    SHARES,
    Feedback,
    SealedSplit,
    Source,
    Split,
    TestPurpose,
    load,
    open_test,
    split_of,
)
from serving.triage.manifest import file_sha256, manifest

SIZES = {Split.TRAIN: 16_777, Split.CALIBRATION: 1_867, Split.SHADOW: 2_496, Split.TEST: 2_415}


@pytest.fixture(scope="module")
def parts() -> dict[Split, list[Feedback]]:
    return {
        Split.TRAIN: load(Split.TRAIN),
        Split.CALIBRATION: load(Split.CALIBRATION),
        Split.SHADOW: load(Split.SHADOW),
        Split.TEST: open_test(TestPurpose.EVALUATION),
    }


def test_the_file_is_the_released_one() -> None:
    assert file_sha256(DATA_FILE) == manifest().data.sha256


def test_the_parts_have_the_sizes_that_figures_were_stated_on(
    parts: dict[Split, list[Feedback]],
) -> None:
    assert {split: len(items) for split, items in parts.items()} == SIZES


def test_the_shares_are_a_whole() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_no_document_and_no_text_lies_in_two_parts(parts: dict[Split, list[Feedback]]) -> None:
    documents = {split: {item.document for item in items} for split, items in parts.items()}
    texts = {split: {item.text.casefold() for item in items} for split, items in parts.items()}
    for one in parts:
        for other in parts:
            if one is not other:
                assert not documents[one] & documents[other]
                assert not texts[one] & texts[other]


def test_every_source_is_in_every_part(parts: dict[Split, list[Feedback]]) -> None:
    for items in parts.values():
        assert {item.source for item in items} == set(Source)


def test_every_text_was_rated_by_at_least_fourteen_people(
    parts: dict[Split, list[Feedback]],
) -> None:
    for item in (item for items in parts.values() for item in items):
        assert len(item.ratings) >= 14
        assert -4 <= item.mean_rating <= 4
        assert item.rater_spread >= 0
        assert item.text == item.text.strip() != ""


def test_the_test_part_does_not_open_by_accident() -> None:
    with pytest.raises(SealedSplit, match="CALIBRATION"):
        load(Split.TEST)  # type: ignore[arg-type]
    with pytest.raises(SealedSplit):
        open_test("because")  # type: ignore[arg-type]


def test_sentences_of_one_review_stay_together(parts: dict[Split, list[Feedback]]) -> None:
    review = [i for items in parts.values() for i in items if i.document == "amazon-1"]
    assert len(review) > 1
    assert {item.split for item in review} == {split_of("amazon-1")}


def test_mean_and_spread_come_from_the_counts() -> None:
    item = Feedback("tweet-1", "tweet-1", Source.TWEET, "x", (0, 0, 0, 1, 0, 0, 0, 1, 0))
    assert item.ratings == (-1, 3)
    assert item.mean_rating == 1.0
    assert item.rater_spread == 2.0
