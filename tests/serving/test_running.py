"""What is told of engines while they start."""

import os
from io import StringIO
from pathlib import Path

from rich.console import Console

from serving.engine import Engine
from serving.llamacpp_spec import LlamaCppSpec
from serving.roster import Roster
from serving.running import Running
from serving.screen import Screen
from serving.supervisor import Change, State


def test_engines_are_listed_from_the_moment_they_start(tmp_path: Path) -> None:
    engines = [
        Engine(
            LlamaCppSpec(name=name, gguf=tmp_path / "m.gguf", model=name),
            logs=tmp_path,
            env=os.environ,
            cores=1,
        )
        for name in ("student", "teacher")
    ]
    screen = Screen(Console(file=StringIO()), clock=lambda: 0.0)
    roster = Roster(tmp_path / "run")
    running = Running(engines, gateway_url=None, roster=roster, screen=screen)

    running.begin()
    (before,) = roster.read()
    running.engine_changed(Change("teacher", State.READY, "ready in 1.0 s"))
    (after,) = roster.read()

    assert [(row.name, row.state) for row in before.engines] == [
        *(("student", "starting"), ("teacher", "starting")),
    ]
    assert [row.state for row in after.engines] == ["starting", "ready"]
