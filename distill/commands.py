"""What `tutelage distill` does: a round, or a look at one."""

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from distill.config import BadSettings, Settings
from distill.craft import Craft
from distill.export_file import NotAnExport
from distill.loop import STEPS, Outcome, Round, read_outcome, run_round
from distill.report import write_report
from distill.step import is_whole, read_manifest
from distill.triage_task import Triage
from serving.home import Home
from serving.models import BASE
from serving.triage.manifest import manifest, verified

NOT_PROMOTED = 1
CANNOT = 2
REFUSED = 3
"""Exit statuses; 0 is promoted, or done as far as was asked."""


class CannotStart(Exception):
    """Something that a round needs is not there; the text says what and how to get it."""


def act(asked: argparse.Namespace) -> int:
    logging.getLogger("distill").setLevel(logging.INFO)
    run = asked.out or Home.of(os.environ).root / "distill" / asked.route
    try:
        if asked.action == "status":
            return _status(run)
        if asked.action == "report":
            sys.stdout.write(f"{write_report(asked.route, run)}\n")
            return 0
        return _round(asked, run, os.environ)
    except (BadSettings, CannotStart, NotAnExport, FileNotFoundError) as error:
        sys.stderr.write(f"tutelage distill: {error}\n")
        return CANNOT


def _round(asked: argparse.Namespace, run: Path, env: Mapping[str, str]) -> int:
    settings = Settings.load(asked.settings)
    round_ = Round(
        route=asked.route,
        export=_export(asked, run),
        run=run,
        cache=run / "cache",
        releases=Home.of(env).releases,
        task=Triage(),
        craft=_craft(asked, run),
        settings=settings,
        clock=time.monotonic,
        sleep=time.sleep,
        api_key=_api_key(settings, env),
    )
    until = asked.step if asked.action == "step" else STEPS[-1]
    outcome = run_round(round_, until=until)
    sys.stdout.write(f"{_told(outcome)}\n")
    sys.stdout.write(f"report: {write_report(asked.route, run)}\n")
    if outcome.gate is not None:
        return REFUSED
    return 0 if outcome.promoted or until != STEPS[-1] else NOT_PROMOTED


def _craft(asked: argparse.Namespace, run: Path) -> Craft:
    try:
        from distill.recipe import Workshop  # noqa: PLC0415 - torch, which a look does not need
        from distill.triage_craft import TriageCraft  # noqa: PLC0415
    except ImportError as error:
        raise CannotStart(f"{error}; pip install 'tutelage[distill]'") from error
    base = asked.base or Home.of(os.environ).models / BASE.file_name
    if not base.exists():
        raise CannotStart(f"{base}: the base model is not there; `tutelage up` fetches it once")
    work = run / "work"
    work.mkdir(parents=True, exist_ok=True)
    at = Workshop(base, work, shared=asked.shared, taught_by=asked.taught_by)
    return TriageCraft(at, asked.incumbent or verified(manifest().student_delta))


def _export(asked: argparse.Namespace, run: Path) -> Path:
    """The traces as they are now; once a round has them, they stay (remove the file for newer)."""
    if asked.traces is not None:
        return Path(asked.traces)
    file = run / "traces.jsonl"
    if file.exists():
        return file
    run.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "gateway.commands", "traces", "export"]
    command += ["--route", asked.route, "--out", str(file)]
    command += ["--config", str(asked.config)] if asked.config is not None else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise CannotStart(f"the traces of {asked.route} cannot be read: {done.stderr.strip()}")
    return file


def _api_key(settings: Settings, env: Mapping[str, str]) -> str | None:
    teacher = settings.teacher
    if teacher is None or teacher.api_key is None:
        return None
    if teacher.api_key.env not in env:
        raise BadSettings(f"teacher.api_key: the variable {teacher.api_key.env} is not set")
    return env[teacher.api_key.env]


def _status(run: Path) -> int:
    if not run.exists():
        raise CannotStart(f"{run}: no round has run there")
    for name in STEPS:
        done = read_manifest(run / name)
        state = "-"
        if (run / f"{name}.part").exists():
            state = "cut or refused; the next run goes on from here"
        elif done is not None:
            whole = is_whole(run / name)
            state = f"done in {done.seconds:.0f} s" if whole else "changed since; it is made anew"
        sys.stdout.write(f"{name:10} {state}\n")
    outcome = read_outcome(run)
    sys.stdout.write(f"{_told(outcome) if outcome else 'the round has not ended'}\n")
    return 0


def _told(outcome: Outcome) -> str:
    reasons = "".join(f"\n  {reason}" for reason in outcome.reasons)
    if outcome.gate is not None:
        return f"refused at {outcome.step}, gate {outcome.gate}: nothing is promoted{reasons}"
    if outcome.promoted:
        give = f"tutelage releases promote ROUTE {outcome.release} --share 0.05 --why WHY"
        return f"promoted: release {outcome.release}{reasons}\n  next: {give}"
    if outcome.step != STEPS[-1]:
        return f"done up to {outcome.step}"
    return f"not promoted{reasons}"
