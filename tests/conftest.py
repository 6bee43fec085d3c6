"""Hygiene of every test: a home of its own, loopback only, no test that silently does not run."""

import os
import sys
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, settings

from serving.home import Home
from serving.models import BASE


class Outside(AssertionError):
    """A test tried to reach past this machine."""


_attempts: list[str] = []


def _is_local(host: object) -> bool:
    if host in {None, "", b"", "localhost", b"localhost"}:
        return True
    try:
        return ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


def _stay_on_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse connections and name lookups past loopback: an audit hook sees every library's."""
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path is a Unix socket
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if not _is_local(host):
        _attempts.append(f"{event} {host!r}")
        raise Outside(_attempts[-1])


sys.addaudithook(_stay_on_this_machine)

settings.register_profile(
    "house",
    deadline=None,  # a busy machine is no bug
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def attempts_to_get_out() -> Iterator[list[str]]:
    """Fail the test even where the code under test swallowed the refusal."""
    _attempts.clear()
    yield _attempts
    assert not _attempts, f"reached past loopback: {_attempts}"


@pytest.fixture(autouse=True)
def _home_of_its_own(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only engine tests see the user's models and state."""
    if request.node.get_closest_marker("engine") is None:
        home = tmp_path_factory.mktemp("home")
        monkeypatch.setenv("TUTELAGE_HOME", os.fspath(home))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """An engine test without the models is skipped at home and fails in CI: it may not vanish."""
    if item.get_closest_marker("engine") is None:
        return
    base = Home.of(os.environ).models / BASE.file_name
    if base.is_file():
        return
    missing = f"{base} is not there; fetch it: python -m serving.prepare (make test does)"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
