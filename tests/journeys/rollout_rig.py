"""Two releases of a student behind one gateway, and the file that says who serves."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from gateway.metrics import Metrics
from gateway.release_adopting import ReleaseAdopting, canaries
from gateway.release_state import ReleaseState as ReadState
from serving.release_state import ReleaseState, Standing, Wanted
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Say
from tests.journeys.rig import HELLO, SURE, Rig, rig

WORDS = {"old": ("old", " old", " old"), "new": ("new", " new", " new")}


def says(release: str) -> Say:
    return Say(*WORDS[release], logprob=SURE)


@dataclass(slots=True)
class Rollout:
    """Plays `tutelage up` and `tutelage releases`: `old` is the config's engine, `new` another."""

    on: Rig
    new: ScriptedEngine
    state: ReleaseState
    adopting: ReleaseAdopting
    metrics: Metrics
    looks: int = field(default=0)

    def stand(self, release: str, engine: ScriptedEngine, **facts: JsonValue) -> None:
        self.state.stand(
            Standing(
                stands_for=self.on.student.base_url,
                release=release,
                base_url=engine.base_url,
                model="student",
                state="ready",
                up_pid=os.getpid(),
                facts=facts,
            )
        )

    def want(self, current: str | None, candidate: str | None = None, share: float = 0.0) -> None:
        wanted = Wanted(current=current, candidate=candidate, share=share)
        self.state.change("support", wanted, who="ann", why="a test", now_s=0.0)
        self.look()

    def look(self) -> None:
        self.looks += 1  # file systems' clocks are coarse
        now_ns = self.state.path.stat().st_mtime_ns + self.looks * 1_000_000_000
        os.utime(self.state.path, ns=(now_ns, now_ns))
        self.adopting.look()


@asynccontextmanager
async def rollout(
    folder: Path, *, route: dict[str, Any] | None = None, **more: Any
) -> AsyncIterator[Rollout]:
    """The config calls its student's engine release `old`, unless `route` says something else."""
    async with (
        ScriptedEngine(model="student") as new,
        rig(route={"release": "old", **(route or {})}, **more) as on,
    ):
        on.student.script(says("old"))
        new.script(says("new"))
        state = ReleaseState(folder / "state.db")
        state.gone(0)  # makes the file
        metrics = on.on.metrics
        adopting = ReleaseAdopting(
            ReadState(state.path),
            on.on.routes,
            on.on.arms,
            unless=canaries(on.settings),
            tell=metrics.release_stands,
        )
        made = Rollout(on, new, state, adopting, metrics)
        made.stand("old", on.student)
        adopting.start()
        yield made


async def keep_asking(on: Rig, stop: asyncio.Event, *, stream: bool) -> Counter[tuple[str, str]]:
    """(release that the header names, words) of every answer; any failure ends the test."""
    found: Counter[tuple[str, str]] = Counter()
    while not stop.is_set():
        raw: Any = await on.openai.chat.completions.with_raw_response.create(
            model="support", messages=HELLO, stream=stream
        )
        if stream:
            pieces = [chunk.choices[0].delta.content or "" async for chunk in raw.parse()]
            words = "".join(pieces)
        else:
            words = raw.parse().choices[0].message.content or ""
        found[raw.headers["x-tutelage-release"], words] += 1
    return found
