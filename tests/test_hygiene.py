"""The promises that tests/conftest.py makes about every test."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent
SOMEWHERE = "192.0.2.1"
"""An address that RFC 5737 keeps free for documents."""


def test_a_connection_past_loopback_is_refused_and_noted(attempts_to_get_out: list[str]) -> None:
    with pytest.raises(AssertionError, match=SOMEWHERE):
        socket.create_connection((SOMEWHERE, 80), timeout=1)
    with pytest.raises(AssertionError, match=r"models\.example"):
        httpx.get("http://models.example/v1", trust_env=False)

    assert len(attempts_to_get_out) >= 2
    attempts_to_get_out.clear()


def test_a_test_has_a_home_of_its_own(tmp_path: Path) -> None:
    home = Path(os.environ["TUTELAGE_HOME"])

    assert home.is_relative_to(tmp_path.parent)
    assert not list(home.iterdir())


@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 error"), ("", "1 skipped")])
def test_an_engine_test_without_models_is_skipped_at_home_and_fails_in_ci(
    ci: str, outcome: str
) -> None:
    """In a run of its own, in the empty home of this test."""
    one = "tests/contracts/test_chat.py::test_an_unknown_model[llamacpp]"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", one],
        cwd=ROOT,
        env=os.environ | {"CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome in run.stdout.splitlines()[-1]
    assert "python -m serving.prepare" in run.stdout
    assert run.returncode == (1 if ci else 0)
