# ruff: noqa: E402, N806 - torch may be absent: skip first; tensors carry their axes
"""Frozen states are the model's, are made once, and are not taken for another list's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from distill.examples import Example, TaskTokens, row_ids
from distill.states import StatesOverflow, StrangeStates, keep_states, read_states


def states_of(model: Any, example: Example, tokens: TaskTokens, height: int) -> Any:
    """What enters layer `height` in the forward of transformers, prefix and row: (P + T, D)."""
    ids = [*tokens.prefix_ids, *row_ids(example, tokens)]
    found = model.eval().model(torch.tensor([ids]), output_hidden_states=True)
    return found.hidden_states[height][0]


@pytest.mark.parametrize("height", [1, 3])
def test_kept_states_are_the_models(
    model: Any, examples: list[Example], tokens: TaskTokens, tmp_path: Path, height: int
) -> None:
    kept = keep_states(model, examples, tokens, height, tmp_path)
    chosen = [7, 2]
    batch = kept.of(chosen, 12)

    for at, row in enumerate(chosen):
        expected_XD = states_of(model, examples[row], tokens, height)
        long = min(12, len(expected_XD) - 3)
        assert torch.allclose(batch.rows_BTD[at, :long], expected_XD[3 : 3 + long], atol=2e-3)
        assert not batch.rows_BTD[at, long:].any()
        assert torch.allclose(batch.prefix_1PD[0], expected_XD[:3], atol=1e-5)


def test_the_next_height_begins_where_the_last_one_ended(
    model: Any, examples: list[Example], tokens: TaskTokens, tmp_path: Path
) -> None:
    low = keep_states(model, examples, tokens, 1, tmp_path)
    high = keep_states(model, examples, tokens, 3, tmp_path, below=low)

    expected_XD = states_of(model, examples[4], tokens, 3)
    found = high.of([4], len(expected_XD) - 3)
    assert torch.allclose(found.rows_BTD[0], expected_XD[3:], atol=4e-3)
    assert torch.allclose(found.prefix_1PD[0], expected_XD[:3], atol=1e-5)


def test_work_that_was_cut_goes_on_where_it_stopped(
    model: Any, examples: list[Example], tokens: TaskTokens, tmp_path: Path
) -> None:
    whole = keep_states(model, examples, tokens, 2, tmp_path)
    expected = np.array(whole.states_XD)
    flags = np.load(tmp_path / "kept-02.npy", mmap_mode="r+")
    values = np.load(tmp_path / "states-02.npy", mmap_mode="r+")
    flags[5] = False
    values[:] = 0
    with pytest.raises(StrangeStates, match="1 rows are missing"):
        read_states(examples, tokens, 2, tmp_path)

    again = keep_states(model, examples, tokens, 2, tmp_path, backwards=True)

    first, end = again.starts[5], again.starts[6]
    assert np.allclose(again.states_XD[first:end], expected[first:end], atol=2e-3)
    assert not again.states_XD[:first].any()
    assert not again.states_XD[end:].any()


def test_states_of_other_rows_are_refused_when_read_and_made_anew_when_wanted(
    model: Any, examples: list[Example], tokens: TaskTokens, tmp_path: Path
) -> None:
    keep_states(model, examples, tokens, 2, tmp_path)
    with pytest.raises(StrangeStates, match="not the states of these rows"):
        read_states(examples[1:], tokens, 2, tmp_path)
    assert len(keep_states(model, examples[1:], tokens, 2, tmp_path).starts) == len(examples)


def test_a_state_that_float16_cannot_hold_is_an_error(
    model: Any, examples: list[Example], tokens: TaskTokens, tmp_path: Path
) -> None:
    with torch.no_grad():
        model.model.embed_tokens.weight *= 1e7
    with pytest.raises(StatesOverflow, match="too large"):
        keep_states(model, examples, tokens, 1, tmp_path)
