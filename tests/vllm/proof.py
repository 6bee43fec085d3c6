"""Whether verified answers are the teacher's own, on a real vLLM, and what they save.

    python -m tests.vllm.proof FOLDER [--prompts 200] [--pairs distilled,untrained,prose]

Starts the teacher and a student of each pair on vLLM's CPU build, asks each prompt four ways, tells
shares, differences and savings, and writes all of it to `--out`. It fails if an answer differs
where the teacher was not near a tie: rounding may break ties, and nothing else may differ.
`make prove-verification` runs it; `make test-vllm` a few prompts of it.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.config import Verify
from serving.errors import ServingError
from tests.vllm.checkpoints import Checkpoints, make_checkpoints
from tests.vllm.comparison import (
    NEAR_TIE_NATS,
    Difference,
    Row,
    differences,
    figures,
    margins,
    roundings,
)
from tests.vllm.cpu_engine import cpu_engine
from tests.vllm.environment import CannotMake
from tests.vllm.prompts import Prompts, prose, triage
from tests.vllm.verified import Pair, Wish, compare

_TOLD_EVERY = 20
TIES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5)


@dataclass(frozen=True, slots=True)
class Case:
    """What a pair is made of, and asked. window: of its streams; None: whole answers alone."""

    models: Callable[[Checkpoints], tuple[Path, Path]]
    prompts: Callable[[int], Prompts]
    window: int | None


CASES = {
    "distilled": Case(lambda made: (made.student, made.teacher), triage, None),
    "untrained": Case(lambda made: (made.pruned, made.teacher), triage, None),
    "prose": Case(lambda made: (made.shortened, made.base), prose, 12),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vllm.proof", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--pairs", default=",".join(CASES))
    parser.add_argument("--tie-nats", type=float, default=Verify().tie_nats)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args(arguments)
    strange = 0
    try:
        checkpoints = make_checkpoints(asked.folder)
        for name in asked.pairs.split(","):
            case = CASES[name]
            wish = Wish(asked.tie_nats, case.window, asked.at_once)
            rows = _run(asked.folder, case, checkpoints, asked.prompts, wish)
            if asked.out is not None:
                asked.out.mkdir(parents=True, exist_ok=True)
                (asked.out / f"{name}.json").write_bytes(msgspec.json.encode(rows))
            strange += _tell(name, rows)
    except (CannotMake, ServingError) as error:
        _say(f"error: {error}")
        return 1
    return 1 if strange else 0


def _run(folder: Path, case: Case, checkpoints: Checkpoints, count: int, wish: Wish) -> list[Row]:
    models = dict(zip(("student", "teacher"), case.models(checkpoints), strict=True))
    engines = {
        name: cpu_engine(f"proof-{name}", weights, folder, model=name, beside=1)
        for name, weights in models.items()
    }
    try:
        for name, engine in engines.items():
            _say(f"{name}: {models[name].name}, ready in {engine.start():.0f} s")
        urls = {name: engine.spec.base_url for name, engine in engines.items()}
        pair = Pair(urls["student"], urls["teacher"])
        return asyncio.run(compare(pair, case.prompts(count), wish, done=_progress))
    finally:
        for engine in engines.values():
            engine.stop()


def _tell(name: str, rows: Sequence[Row]) -> int:
    """How many differences rounding does not explain."""
    found = differences(rows)
    for how in ("whole", "streamed") if rows[0].streamed is not None else ("whole",):
        told = figures(rows, how)
        _say(
            f"{name}, {how}: {told.equal} of {told.prompts} equal the teacher's own; "
            f"teacher tokens {told.own_tokens} -> {told.written} ({told.saved:.1%} saved); "
            f"of {told.drafted} drafted {told.agreed} agreed, {told.kept} kept; {told.endings}"
        )
    again = sum(each.how == "again" for each in found)
    _say(f"{name}: the teacher asked twice differs from itself in {again} of {len(rows)}")
    for each in found:
        _say(f"{name}: {_in_words(each)}")
    moved = roundings(rows)
    quantiles = ", ".join(f"{q:g}: {moved[int(q * (len(moved) - 1))]:.3f}" for q in (0.5, 0.99, 1))
    _say(f"{name}: {len(moved)} leads, written against read, moved by nats ({quantiles})")
    for margin in margins(rows, TIES):
        _say(f"{name}: tie_nats {margin.tie_nats}: {margin.wrong} wrong, {margin.refused} refused")
    return sum(not each.near_tie for each in found)


def _in_words(found: Difference) -> str:
    where = "a kept token" if found.kept else "a token of the teacher's"
    why = "near tie" if found.near_tie else f"NOT a near tie (more than {NEAR_TIE_NATS})"
    return (
        f"prompt {found.prompt}, {found.how}: token {found.at}, {where}; "
        f"its own was {found.lead:.3f} nats ahead: {why}"
    )


def _progress(rows: int) -> None:
    if rows % _TOLD_EVERY == 0:
        _say(f"{rows} prompts asked")


def _say(line: str) -> None:
    print(f"[proof] {line}", flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    sys.exit(main())
