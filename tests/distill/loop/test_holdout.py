"""The exam is the same in every round, and shut away while a student is made."""

import mmap
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.holdout import (
    SealedHoldout,
    is_set_apart,
    load_ngrams,
    ngrams_of,
    overlaps,
    save_ngrams,
    sealed,
)

LONG = "one two three four five six seven eight nine ten"


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    folder = tmp_path / "sealed"
    folder.mkdir()
    np.save(folder / "exam.npy", np.zeros(3))
    (folder / "exam.jsonl").write_text("secret", encoding="utf-8")
    return folder


def test_a_sealed_file_opens_for_nobody_until_the_seal_is_off(exam: Path) -> None:
    file = exam / "exam.jsonl"
    with sealed(exam):
        with pytest.raises(SealedHoldout):
            file.read_text(encoding="utf-8")
        with pytest.raises(SealedHoldout):
            file.open("a")
        with pytest.raises(SealedHoldout):
            np.load(exam / "exam.npy", mmap_mode="r")

    assert file.read_text(encoding="utf-8") == "secret"


def test_neither_a_link_nor_a_roundabout_path_leads_in(exam: Path, tmp_path: Path) -> None:
    link = tmp_path / "innocent.jsonl"
    link.symlink_to(exam / "exam.jsonl")
    with sealed(exam):
        for path in (link, tmp_path / "other" / ".." / "sealed" / "exam.jsonl"):
            with pytest.raises(SealedHoldout):
                path.read_text(encoding="utf-8")


def test_other_threads_are_kept_out_too(exam: Path) -> None:
    caught: list[Exception] = []

    def read() -> None:
        try:
            (exam / "exam.jsonl").read_bytes()
        except SealedHoldout as error:
            caught.append(error)

    with sealed(exam):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_what_is_beside_it_stays_open(exam: Path, tmp_path: Path) -> None:
    (tmp_path / "sealed-not").write_text("fine", encoding="utf-8")
    with sealed(exam):
        assert (tmp_path / "sealed-not").read_text(encoding="utf-8") == "fine"
        with mmap.mmap(-1, 16) as memory:
            assert len(memory) == 16


def test_the_seal_comes_off_after_an_error_too(exam: Path) -> None:
    with pytest.raises(KeyError), sealed(exam):
        raise KeyError
    assert (exam / "exam.jsonl").read_text(encoding="utf-8") == "secret"


def test_a_text_is_on_one_side_however_it_is_written() -> None:
    for text in ("It broke.", "  it   BROKE ", "It broke!"):
        assert is_set_apart(text, 0.5) is is_set_apart("it broke", 0.5)
    aside = sum(is_set_apart(f"text {at}", 0.2) for at in range(2000))
    assert 300 < aside < 500


def test_hashes_of_words_come_back_from_the_file(tmp_path: Path) -> None:
    hashes = ngrams_of([LONG, "short one"])
    save_ngrams(hashes, tmp_path / "ngrams.json")

    assert load_ngrams(tmp_path / "ngrams.json") == hashes
    assert overlaps(f"He counted: {LONG}!", hashes)
    assert not overlaps("one two three four five six seven", hashes)
    assert not overlaps("", hashes)


@given(st.text(), st.floats(0, 1))
def test_a_larger_share_never_lets_a_text_out_of_the_exam(text: str, share: float) -> None:
    assert is_set_apart(text, share) <= is_set_apart(text, min(1.0, share + 0.1))
