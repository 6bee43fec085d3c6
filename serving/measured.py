"""Two models on vLLM, asked the same: alternately where both fit, else one after the other."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serving.command import usable_cores
from serving.engine import Engine
from serving.fidelity import Fidelity, judge
from serving.home import Home
from serving.roster import resident_bytes
from serving.scored import Cut, Scored, Scorer
from serving.screen import Screen
from serving.supervisor import Supervisor
from serving.texts import Sample
from serving.vllm_spec import VllmSpec

NAMES = ("before", "after")


@dataclass(frozen=True, slots=True)
class Measuring:
    """in_turn: one engine after the other, for a machine that does not hold both."""

    executable: str
    device: Literal["gpu", "cpu"]
    answer_tokens: int
    in_turn: bool


def measure(
    how: Measuring,
    folders: tuple[Path, Path],
    samples: Sequence[Sample],
    *,
    max_tokens: int,
    home: Home,
    env: Mapping[str, str],
    screen: Screen,
) -> Fidelity:
    """Raises a `ServingError`; no engine is left running."""
    sides = [
        _Side(name, folder, how, max_tokens=max_tokens, home=home, env=env)
        for name, folder in zip(NAMES, folders, strict=True)
    ]
    before, after = sides
    with ExitStack() as running:
        start_together(
            [before.engine] if how.in_turn else [before.engine, after.engine],
            screen=screen,
            running=running,
        )
        cuts = [before.scorer.cut(sample, max_tokens=max_tokens) for sample in samples]
        cuts = [cut for cut in cuts if len(cut.text) > 1]
        if how.in_turn:
            before.ask(cuts)
            running.close()
            start_together([after.engine], screen=screen, running=running)
            after.ask(cuts)
        else:
            for cut in screen.counted(cuts, "texts"):
                before.ask([cut])
                after.ask([cut])
    return judge(
        before.scored,
        after.scored,
        answer_tokens=how.answer_tokens,
        memory_bytes=(before.memory_bytes, after.memory_bytes),
    )


def start_together(engines: Sequence[Engine], *, screen: Screen, running: ExitStack) -> None:
    """Returns when all are ready; `running` ends them. Raises what the first that failed did."""
    for engine in engines:
        screen.say(f"starting {engine.name}; log: {engine.log}")
    supervisor = Supervisor(
        engines, on_change=lambda change: screen.say(f"{change.name}: {change.note}")
    )
    running.callback(supervisor.stop)
    supervisor.start()


class _Side:
    """One of the two: its engine, and what it said."""

    def __init__(
        self,
        name: str,
        weights: Path,
        how: Measuring,
        *,
        max_tokens: int,
        home: Home,
        env: Mapping[str, str],
    ) -> None:
        cpu = how.device == "cpu"
        spec = VllmSpec(
            name=name,
            kind="vllm",
            weights=str(weights.absolute()),
            executable=how.executable,
            model=name,
            device=how.device,
            kv_cache_gib=1 if cpu else None,
            memory_share=None if cpu or how.in_turn else 0.4,
            context_tokens=max(64, max_tokens + how.answer_tokens + 1),
            max_logprobs=1,
            prefix_caching=False,
            eager=cpu,
            drain_s=0,
        )
        self.engine = Engine(spec, logs=home.logs, env=env, cores=usable_cores())
        self.scorer = Scorer(self.engine.spec.base_url, self.engine.spec.model)
        self._how = how
        self.scored: list[Scored] = []
        self.memory_bytes: int | None = None

    def ask(self, cuts: Sequence[Cut]) -> None:
        for cut in cuts:
            self.scored.append(self.scorer.score(cut, answer_tokens=self._how.answer_tokens))
        if self.engine.pid is not None:
            self.memory_bytes = resident_bytes(self.engine.pid)
