# ruff: noqa: N806, N815 - tensors carry their axes in their names
"""Hidden states that enter the trained layers, computed once a row and kept on disk in float16.

Layers that no gradient reaches say the same about a row in every epoch, of every trial, and for the
teacher's soft labels too. All training texts at one height are 0.75 GB, read as a memory map that
several runs share. Work that was cut goes on, and two processes may share it.
"""

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from distill.examples import Example, TaskTokens, bucketed, row_ids
from distill.layers import States, embedded, run_layers

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 32

_LARGEST = np.finfo(np.float16).max


class StrangeStates(ValueError):
    """States on disk belong to other rows than those that are asked for, or are not all there."""


class StatesOverflow(ValueError):
    """A hidden state does not fit float16."""


@dataclass(frozen=True)
class FrozenStates:
    """What enters layer `height` for every row of a list, in that order."""

    height: int
    prefix_1PD: Tensor
    states_XD: npt.NDArray[np.float16]
    """X: tokens of all rows, one row after the other."""
    starts: npt.NDArray[np.int64]
    """Where each row begins, and the end."""

    def of(self, rows: Sequence[int], width: int) -> States:
        """Those rows in float32, the first `width` tokens of each, padded with zeros."""
        batch_BTD = torch.zeros(len(rows), width, self.states_XD.shape[1])
        for at, row in enumerate(rows):
            end = min(int(self.starts[row + 1]), int(self.starts[row]) + width)
            part = self.states_XD[int(self.starts[row]) : end]
            batch_BTD[at, : len(part)] = torch.from_numpy(part.astype(np.float32))
        return States(self.prefix_1PD, batch_BTD)


@dataclass(frozen=True)
class _Shelf:
    """Files of one height: states, which rows they are there for, and of which list of rows."""

    folder: Path
    height: int

    @property
    def states(self) -> Path:
        return self.folder / f"states-{self.height:02}.npy"

    @property
    def kept(self) -> Path:
        return self.folder / f"kept-{self.height:02}.npy"

    @property
    def prefix(self) -> Path:
        return self.folder / f"prefix-{self.height:02}.npy"

    @property
    def rows_sha256(self) -> Path:
        return self.folder / f"rows-{self.height:02}.sha256"

    def is_of(self, rows_sha256: str) -> bool:
        return self.rows_sha256.exists() and self.rows_sha256.read_text("utf-8") == rows_sha256

    def make(self, rows_sha256: str, starts: npt.NDArray[np.int64], width: int) -> None:
        """Empty files; what was there is replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shape = (int(starts[-1]), width)
        np.lib.format.open_memmap(self.states, mode="w+", dtype=np.float16, shape=shape)
        np.save(self.kept, np.zeros(len(starts) - 1, dtype=np.bool_))
        self.rows_sha256.write_text(rows_sha256, encoding="utf-8")


def keep_states(
    model: Any,  # noqa: ANN401 - transformers is untyped here
    examples: Sequence[Example],
    tokens: TaskTokens,
    height: int,
    folder: Path,
    *,
    below: FrozenStates | None = None,
    backwards: bool = False,
    workers: int = 2,
) -> FrozenStates:
    """Runs the layers under `height` on whole rows, answers included, and keeps what leaves them.

    It starts from the states `below`, if given, or from the tokens. Rows that are kept already are
    passed over; a second process may work `backwards` through the same list. Raises
    `StatesOverflow`.
    """
    shelf, rows_sha256 = _Shelf(folder, height), _rows_sha256(examples, tokens)
    starts = _starts(examples, tokens)
    if not shelf.is_of(rows_sha256):
        shelf.make(rows_sha256, starts, model.config.hidden_size)
    states_XD = np.load(shelf.states, mmap_mode="r+")
    kept = np.load(shelf.kept, mmap_mode="r+")
    lengths = [len(example) for example in examples]
    batches = bucketed(lengths, rows=ROWS_AT_ONCE, epochs=1, seed=0)
    first = below.height if below else 0
    prefix = below.prefix_1PD if below else embedded(model, tokens.prefix_ids, _NO_ROWS).prefix_1PD
    model.eval()
    torch.set_num_threads(1)

    @torch.no_grad()
    def run(batch: Sequence[int]) -> None:
        rows = [row_ids(examples[at], tokens) for at in batch if not kept[at]]
        missing = [at for at in batch if not kept[at]]
        if not missing:
            return
        width = max(len(row) for row in rows)
        ids_BT = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
        entering = below.of(missing, width) if below else embedded(model, tokens.prefix_ids, ids_BT)
        found_BTD = run_layers(model, entering, first, height).rows_BTD.numpy()
        for at, row, found_TD in zip(missing, rows, found_BTD, strict=True):
            largest = np.abs(found_TD[: len(row)]).max()
            if not largest <= _LARGEST:
                raise StatesOverflow(f"{examples[at].id}: {largest} at layer {height} is too large")
            states_XD[starts[at] : starts[at + 1]] = found_TD[: len(row)]
            kept[at] = True

    with torch.no_grad():
        alone = States(prefix, torch.zeros(1, 1, model.config.hidden_size))
        prefix_1PD = run_layers(model, alone, first, height).prefix_1PD
    np.save(shelf.prefix, prefix_1PD.numpy())
    with ThreadPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(run, batches[::-1] if backwards else batches)):
            if done % 50 == 0:
                log.info("layer %d: states of %d of %d rows", height, kept.sum(), len(kept))
    return read_states(examples, tokens, height, folder)


def read_states(
    examples: Sequence[Example], tokens: TaskTokens, height: int, folder: Path
) -> FrozenStates:
    """What `keep_states` kept. Raises `StrangeStates`."""
    shelf = _Shelf(folder, height)
    if not shelf.is_of(_rows_sha256(examples, tokens)):
        raise StrangeStates(f"{shelf.states}: not the states of these rows; remove {folder}")
    missing = int((~np.load(shelf.kept)).sum())
    if missing:
        raise StrangeStates(f"{shelf.states}: {missing} rows are missing; run the stage again")
    return FrozenStates(
        height,
        torch.from_numpy(np.load(shelf.prefix)),
        np.load(shelf.states, mmap_mode="r"),
        _starts(examples, tokens),
    )


_NO_ROWS = torch.zeros(0, 0, dtype=torch.long)


def _rows_sha256(examples: Sequence[Example], tokens: TaskTokens) -> str:
    rows = json.dumps([tokens.prefix_ids, *(row_ids(e, tokens) for e in examples)])
    return sha256(rows.encode()).hexdigest()


def _starts(examples: Sequence[Example], tokens: TaskTokens) -> npt.NDArray[np.int64]:
    return np.cumsum([0, *(len(row_ids(e, tokens)) for e in examples)])
