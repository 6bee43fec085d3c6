"""Real processes, really killed: nothing may survive its starter."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import lifeline
from tests.serving.lifesigns import Lifesigns

FOREVER = "forever()"

STARTER = """
import json, signal, subprocess, sys
from serving import lifeline
tethered = lifeline.start(json.loads(sys.argv[1]), output=subprocess.DEVNULL, grace_s=0.2)
print(tethered.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def signs(tmp_path: Path) -> Iterator[Lifesigns]:
    signs = Lifesigns(tmp_path)
    yield signs
    signs.close()


def start(*argv: str, grace_s: float = 5.0) -> lifeline.Tethered:
    return lifeline.start(argv, output=2, grace_s=grace_s)


def starter_of(argv: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", STARTER, json.dumps(argv)], stdout=subprocess.PIPE
    )


def test_a_commands_own_status_is_reported() -> None:
    assert start(sys.executable, "-c", "raise SystemExit(7)").wait() == 7


def test_a_command_killed_by_a_signal_is_reported_as_128_plus_the_signal(signs: Lifesigns) -> None:
    tethered = start(*signs.python(f"sign('it'); {FOREVER}"))
    os.kill(signs.pid("it"), signal.SIGKILL)

    assert tethered.wait() == 128 + signal.SIGKILL


def test_the_pid_is_the_commands_not_the_keepers(signs: Lifesigns) -> None:
    tethered = start(*signs.python(f"sign('it'); {FOREVER}"))
    assert tethered.pid == signs.pid("it")
    tethered.stop(grace_s=5)


def test_a_stop_is_a_sigterm_that_the_command_may_answer(signs: Lifesigns) -> None:
    tethered = start(
        *signs.python(
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); sign('it'); " + FOREVER
        )
    )
    signs.pid("it")

    assert tethered.stop(grace_s=5) == 3


def test_a_command_deaf_to_sigterm_is_killed_after_the_grace_period(signs: Lifesigns) -> None:
    program = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); sign('it'); {FOREVER}"
    tethered = start(*signs.python(program), grace_s=0.1)
    signs.pid("it")

    assert tethered.stop(grace_s=0.1) == 128 + signal.SIGKILL
    signs.wait_all_dead()


def test_workers_that_a_command_leaves_behind_end_with_it(signs: Lifesigns) -> None:
    program = f"""
if os.fork() == 0:
    sign('worker')
    {FOREVER}
sign('command')
{FOREVER}
"""
    tethered = start(*signs.python(program))
    signs.pid("worker")
    os.kill(signs.pid("command"), signal.SIGKILL)

    assert tethered.wait() == 128 + signal.SIGKILL
    signs.wait_all_dead()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_a_starter_that_is_killed(signs: Lifesigns, how: signal.Signals) -> None:
    deaf_family = f"""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
name = 'child' if os.fork() == 0 else 'command'
sign(name)
{FOREVER}
"""
    with starter_of(signs.python(deaf_family)) as starter:
        signs.pid("child")
        signs.pid("command")
        starter.send_signal(how)

    signs.wait_all_dead()


def test_nothing_survives_a_keeper_that_is_killed(signs: Lifesigns) -> None:
    program = f"sign('command'); {FOREVER}"
    tethered = start(*signs.python(program))
    signs.pid("command")
    os.kill(tethered._keeper.pid, signal.SIGKILL)

    assert tethered.wait() == 128 + signal.SIGKILL
    signs.wait_all_dead()


def test_a_command_that_does_not_exist_says_so() -> None:
    with pytest.raises(lifeline.CannotStart, match=r"/nowhere/to/be/found: No such file"):
        start("/nowhere/to/be/found")


def test_a_ctrl_c_at_the_terminal_reaches_the_starter_alone(signs: Lifesigns) -> None:
    tethered = start(*signs.python(f"sign('it'); {FOREVER}"))

    assert os.getsid(signs.pid("it")) != os.getsid(0)
    tethered.stop(grace_s=5)
