"""What a user gets from `pip install tutelage`: run against the wheel alone, see .ci/run."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
PACKAGES = ("gateway", "router", "serving", "distill")
EXAMPLES = sorted((CHECKOUT / "deploy").glob("*.toml"))
HERE = distribution("tutelage")
FILES = {str(path) for path in HERE.files or ()}


def asked_for() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(
        (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]
    return project


def tutelage(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("tutelage")
    return subprocess.run(
        [command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TEACHER_API_KEY": "k", "COLUMNS": "100"},
    )


def in_checkout() -> Iterator[str]:
    """Every file of the four packages that git would ship."""
    for package in PACKAGES:
        for path in (CHECKOUT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(CHECKOUT).as_posix()


def test_python_runs_isolated_so_that_only_the_wheel_can_be_found() -> None:
    assert sys.flags.isolated
    assert not {str(CHECKOUT), ""} & set(sys.path)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_comes_from_the_wheel_and_is_typed(package: str) -> None:
    spec = find_spec(package)

    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(sys.prefix)
    assert "site-packages" in spec.origin
    assert f"{package}/py.typed" in FILES


def test_the_wheel_holds_the_packages_whole_and_nothing_else() -> None:
    wanted = set(in_checkout())
    held = {file for file in FILES if file.partition("/")[0] in PACKAGES and ".pyc" not in file}
    tops = {file.partition("/")[0] for file in FILES} - {".."}

    assert len(wanted) > 60
    assert held == wanted
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_the_data_of_the_embedded_default_is_there() -> None:
    triage = HERE.locate_file("serving/triage/feedback.jsonl.gz")

    assert Path(str(triage)).stat().st_size > 1_000_000


def test_the_core_is_light() -> None:
    heavy = ["torch", "transformers", "xllamacpp", "gguf", "peft", "vllm", "pandas"]

    assert [name for name in heavy if find_spec(name) is not None] == []


def test_help_lists_every_command() -> None:
    commands = asked_for()["entry-points"]["tutelage.commands"]

    shown = tutelage("--help")

    assert shown.returncode == 0, shown.stderr
    assert len(commands) >= 6
    listed = {line.split()[0] for line in shown.stdout.splitlines() if line.startswith("    ")}
    assert set(commands) <= listed


@pytest.mark.parametrize("command", asked_for()["entry-points"]["tutelage.commands"])
def test_a_command_explains_itself_without_any_extra(command: str) -> None:
    shown = tutelage(command, "--help")

    assert shown.returncode == 0, shown.stderr
    assert f"usage: tutelage {command}" in shown.stdout


def test_there_are_examples_to_check() -> None:
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_config_is_good(example: Path) -> None:
    checked = tutelage("gateway", "--config", example, "--check")

    assert checked.returncode == 0, checked.stderr
    assert "good" in checked.stdout


def test_a_config_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(EXAMPLES[0].read_text(encoding="utf-8") + "\n[surprise]\n", encoding="utf-8")

    checked = tutelage("gateway", "--config", broken, "--check")

    assert checked.returncode == 2
    assert "surprise" in checked.stderr


def test_the_scripted_engine_is_there_to_be_run() -> None:
    shown = subprocess.run(
        [sys.executable, "-I", "-m", "serving.scripted_engine", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert shown.returncode == 0, shown.stderr
    assert "without a model" in shown.stdout


def test_the_metadata_is_what_pyproject_says() -> None:
    project = asked_for()
    said = HERE.metadata

    assert said["Name"] == project["name"]
    assert HERE.version == project["version"]
    assert said["License-Expression"] == "Apache-2.0"
    assert "LICENSE" in said.get_all("License-File", [])
    assert said["Requires-Python"] == project["requires-python"]
    assert set(said.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])


def test_the_entry_points_are_what_pyproject_says() -> None:
    project = asked_for()
    commands = {point.name: point.value for point in entry_points(group="tutelage.commands")}
    scripts = {p.name: p.value for p in entry_points(group="console_scripts")}

    assert commands == project["entry-points"]["tutelage.commands"]
    assert scripts["tutelage"] == project["scripts"]["tutelage"]
