"""The rules that keep this code readable, held by walking it."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("gateway", "router", "serving", "distill")
MADE_HERE = {"build", "dist", "__pycache__"}
MOST_LINES = 400


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


PRODUCT = modules(*PACKAGES)
EVERYTHING = modules(*PACKAGES, "tests", "benchmarks")


def relative(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def imported(path: Path) -> set[str]:
    """Top-level names of everything a module imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_the_walk_sees_the_code() -> None:
    for package in PACKAGES:
        assert ROOT / package / "__init__.py" in PRODUCT
    assert len(PRODUCT) > 50
    assert len(EVERYTHING) > len(PRODUCT) + 10


# Who may import whom


def test_the_import_contracts_are_kept() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    linted = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert linted.returncode == 0, linted.stdout
    assert "Contracts: 4 kept, 0 broken" in linted.stdout


def test_the_gateway_starts_where_no_engine_and_no_torch_is_installed() -> None:
    heavy = ["torch", "transformers", "vllm", "xllamacpp", "gguf", "peft", "serving", "distill"]
    heavy += ["opentelemetry.sdk", "textual"]
    program = f"""
import sys
sys.modules.update(dict.fromkeys({heavy}))   # importing any of them raises ImportError
import gateway.app
"""
    started = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert started.returncode == 0, started.stderr


@pytest.mark.parametrize("path", modules("router"), ids=lambda path: path.stem)
def test_the_router_needs_nothing_but_values(path: Path) -> None:
    effects = {"asyncio", "socket", "threading", "subprocess", "time", "random", "os", "pathlib"}
    allowed = sys.stdlib_module_names - effects | {"numpy", "msgspec", "router"}
    if path.name == "cli.py":  # a command reads files and the time so that the rest need not
        allowed |= effects

    assert imported(path) <= allowed


def test_every_import_of_a_package_is_something_that_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    asked = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in lines}
    import_names = {
        "opentelemetry": "opentelemetry_sdk",
        "sklearn": "scikit_learn",
        "starlette": "fastapi",
    }
    known = set(sys.stdlib_module_names) | set(PACKAGES)

    # Jobs run in environments of their own, beside one another, from a file that pins all.
    jobs = ROOT / "serving" / "quantize_jobs"
    pins = [line for path in jobs.glob("*.txt") for line in path.read_text().splitlines()]
    in_jobs = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in pins} | {"order"}
    assert "gptqmodel" in in_jobs

    for path in PRODUCT:
        foreign = imported(path) - known
        allowed = asked | in_jobs if path.parent == jobs else asked
        assert {import_names.get(name, name) for name in foreign} <= allowed, path


def test_every_command_of_pyproject_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    commands = project["entry-points"]["tutelage.commands"]

    assert len(commands) >= 6
    for name, target in commands.items():
        assert callable(EntryPoint(name, target, "tutelage.commands").load())


# How it reads


@pytest.mark.parametrize("path", EVERYTHING, ids=relative(EVERYTHING))
def test_a_module_is_short_enough_to_hold_one_noun(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", PRODUCT, ids=relative(PRODUCT))
def test_the_first_line_of_a_module_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))

    assert docstring, "the module starts without a docstring"
    assert len(docstring.splitlines()[0].split()) >= 3


@pytest.mark.parametrize("path", EVERYTHING, ids=relative(EVERYTHING))
def test_no_module_is_named_for_a_drawer(path: Path) -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "core"}

    assert not drawers & set(path.stem.split("_"))


def test_production_code_does_not_ask_whether_it_is_under_test() -> None:
    for path in PRODUCT:
        assert not re.search(r"PYTEST_|import pytest|TESTING\b", path.read_text(encoding="utf-8"))


# What must not leave the machine it was written on

TEXT_SUFFIXES = {
    *(".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".cfg", ".ini"),
    *(".sh", ".html", ".js", ".css", ""),
}
OF_ONE_MACHINE = re.compile(
    r"(?<![\w.])/(work|root|opt|mnt)/"
    r"|\.\./shared"
    r"|file:///"
    r"|files\.pythonhosted\.org|pypi\.org/simple|--(extra-)?index-url|--find-links"
)
SOMEONES_HOME = re.compile(r"(?<![\w.])/(home|Users)/")


def text_files() -> list[Path]:
    tops = [path for path in ROOT.iterdir() if path.name not in MADE_HERE]
    tops = [path for path in tops if not path.name.startswith(".") or path.name == ".ci"]
    found = [path for top in tops for path in [top, *top.rglob("*")] if path.is_file()]
    return [
        path
        for path in found
        if path.suffix in TEXT_SUFFIXES
        and not MADE_HERE & set(path.parts)
        and "golden" not in path.parts
        and path != Path(__file__)
    ]


def test_no_file_names_a_path_or_a_registry_of_one_machine() -> None:
    files = text_files()

    assert len(files) > 80
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not OF_ONE_MACHINE.search(text), path.relative_to(ROOT)
        if "tests" not in path.parts:  # where a made-up user's home is an example
            assert not SOMEONES_HOME.search(text), path.relative_to(ROOT)


def test_the_readme_has_a_line_for_every_top_level_folder() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    hidden = re.compile(r"\.|__|.*\.egg-info$")
    folders = [
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and path.name not in MADE_HERE and not hidden.match(path.name)
    ]

    assert len(folders) >= 7
    for folder in folders:
        assert f"{folder}/" in readme, folder
