"""Environments for jobs: made once, anew when their recipe changes, or not at all and then why."""

import os
import stat
from pathlib import Path

import pytest

from serving.errors import JobFailed
from serving.job_environment import Jobs, Recipe

VENV = """#!/bin/sh
echo "$@" >> "{journal}"
mkdir -p "$1/bin"
printf '#!/bin/sh\\necho "$@" >> "{journal}"\\n{pip}\\n' > "$1/bin/python"
chmod +x "$1/bin/python"
"""


class Said:
    """A `Progress` that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def bytes_done(self, what: str, done: int, total: int) -> None:
        raise AssertionError(what)


def jobs(folder: Path, *, pip: str = "exit 0") -> tuple[Jobs, Said, Path]:
    """With a `venv` whose python notes what it is asked, and then does as `pip` says."""
    journal, program, said = folder / "journal", folder / "venv", Said()
    program.write_text(VENV.format(journal=journal, pip=pip), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    made = Jobs(
        folder / "environments",
        logs=folder / "logs",
        env=os.environ,
        progress=said,
        make_venv=[str(program)],
    )
    return made, said, journal


def recipe(folder: Path, text: str = "gptqmodel==7.6.0\n") -> Recipe:
    requirements = folder / "requirements.txt"
    requirements.write_text(text, encoding="utf-8")
    return Recipe("gptqmodel", requirements, gigabytes=1.8)


def test_an_environment_is_made_once_and_said_so(tmp_path: Path) -> None:
    made, said, journal = jobs(tmp_path)

    python = made.environment(recipe(tmp_path))
    again = made.environment(recipe(tmp_path))

    assert python == again
    venv, pip = journal.read_text(encoding="utf-8").splitlines()
    assert venv == str(python.parent.parent)
    assert pip.startswith("-m pip install")
    assert pip.endswith(str(tmp_path / "requirements.txt"))
    assert [line for line in said.lines if "1.8 GB, once" in line] == said.lines


def test_other_pins_are_another_environment(tmp_path: Path) -> None:
    made, _, _ = jobs(tmp_path)

    one = made.environment(recipe(tmp_path))
    two = made.environment(recipe(tmp_path, "gptqmodel==7.7.0\n"))

    assert one != two


def test_one_that_cannot_be_made_is_told_with_pips_words_and_the_command(tmp_path: Path) -> None:
    broken, _, _ = jobs(tmp_path, pip='echo "ERROR: No matching distribution"; exit 1')
    with pytest.raises(JobFailed) as found:
        broken.environment(recipe(tmp_path))

    assert "No matching distribution" in str(found.value)
    assert "try it by hand: " in str(found.value)
    assert "-m pip install" in str(found.value)
    mended, _, _ = jobs(tmp_path)
    assert mended.environment(recipe(tmp_path)).is_file()


def test_a_job_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    made, _, _ = jobs(tmp_path)
    with pytest.raises(JobFailed, match=r"ended with status 3.*\n  the end") as found:
        made.run("quantize-gptq", ["/bin/sh", "-c", "echo 'one\rthe end'; exit 3"])

    assert str(tmp_path / "logs" / "quantize-gptq.log") in str(found.value)


def test_a_job_that_is_not_there_is_told_too(tmp_path: Path) -> None:
    made, _, _ = jobs(tmp_path)
    with pytest.raises(JobFailed, match="No such file"):
        made.run("quantize-gptq", [str(tmp_path / "nothing")])
