"""The lock and pyproject.toml say the same."""

import re
import tomllib
from importlib.metadata import distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.lock import LOCK_FILE, OWN_ENVIRONMENT, PROJECT, PYPROJECT, ROOT, Pin, read, requirements

PINS = read()
NAMES = {pin.name for pin in PINS}
ASKED = [
    pytest.param(requirement, id=f"{extra or 'core'}-{requirement.name}")
    for extra, lines in requirements().items()
    for requirement in lines
]
MACHINE_SPECIFIC = re.compile(r"file:|https?:|--|(^|\s)/\w|\+\w+\s")


def test_every_extra_is_locked() -> None:
    assert set(requirements()) == {"", "local", "distill", "console", "otel", "dev"}
    assert len(PINS) > 80


def test_the_engine_of_a_gpu_host_is_an_extra_outside_the_lock() -> None:
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]

    assert set(OWN_ENVIRONMENT) == set(project["optional-dependencies"]) - set(requirements())
    assert all(reason for reason in OWN_ENVIRONMENT.values())
    assert "vllm" not in NAMES


@pytest.mark.parametrize("requirement", ASKED)
def test_a_requirement_has_a_pin_that_satisfies_it(requirement: Requirement) -> None:
    pins = [pin for pin in PINS if pin.name == canonicalize_name(requirement.name)]

    assert pins, f"{requirement.name} is in pyproject.toml and not in the lock: make lock"
    for pin in pins:
        assert pin.version in requirement.specifier
        assert PROJECT in pin.wanted_by


def test_every_pin_is_reached_from_the_project() -> None:
    reached, news = {PROJECT}, True
    while news:
        more = {pin.name for pin in PINS if pin.wanted_by & reached}
        news = not more <= reached
        reached |= more

    assert reached - {PROJECT} == NAMES


def test_a_reason_for_a_pin_is_itself_locked() -> None:
    cuda_or_us = {"cuda-toolkit", "cuda-bindings", PROJECT}
    for pin in PINS:
        assert pin.wanted_by <= NAMES | cuda_or_us, pin


def test_a_second_pin_of_a_package_is_for_another_python() -> None:
    for pin in PINS:
        if pin.marker is None:
            assert [other.version for other in PINS if other.name == pin.name] == [pin.version]


def test_what_is_installed_here_is_what_the_lock_says() -> None:
    installed: dict[str, str] = {
        canonicalize_name(found.name): found.version for found in distributions()
    }
    # setuptools comes with Python's own venv, and only torch asks for a newer one.
    here = [pin for pin in PINS if pin.name in installed and pin.name != "setuptools"]
    applies = [pin for pin in here if pin.marker is None or pin.marker.evaluate()]

    assert len(applies) > 50
    for pin in applies:
        version = installed[pin.name].partition("+")[0]  # "+cpu" is torch's build, not its version
        assert version == str(pin.version), pin.name


def test_nothing_in_it_belongs_to_one_machine() -> None:
    for line in LOCK_FILE.read_text(encoding="utf-8").splitlines():
        assert not MACHINE_SPECIFIC.search(line), line


def test_the_suites_of_others_have_our_versions_of_what_both_need() -> None:
    theirs = read(ROOT / "tests" / "conformance" / "requirements.txt")
    ours = {pin.name: pin.version for pin in PINS if pin.marker is None}
    shared = {pin.name for pin in theirs} & set(ours) - {"jsonschema-rs"}

    assert {"openai", "pytest", "hypothesis"} <= shared
    for pin in theirs:
        if pin.name in shared:
            assert pin.version == ours[pin.name], pin.name


def test_a_range_is_not_a_pin() -> None:
    with pytest.raises(ValueError, match="exact versions"):
        Pin.parse("httpx>=0.28  # via openai")
