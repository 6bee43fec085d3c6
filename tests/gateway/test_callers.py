"""Who is calling: what holds while the key file changes, breaks and mends."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.callers import KeyHolders
from gateway.errors import Unauthorized
from gateway.keys import Keyring, KeyringError


@dataclass
class HandClock:
    now_s: float = 1000.0

    def unix_s(self) -> float:
        return self.now_s

    def monotonic_s(self) -> float:
        return self.now_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


def test_a_key_is_the_same_in_every_spelling_of_its_header(path: Path) -> None:
    key = Keyring(path).create("checkout", 1.0)
    callers = KeyHolders(Keyring(path), HandClock())

    for header in (f"Bearer {key}", f"bearer {key}", f"BEARER   {key} "):
        for _ in range(2):
            assert callers.identify(header) == "checkout"


@pytest.mark.parametrize(
    "spoil", [lambda key: key[:-1], lambda key: key + "0", lambda key: key.upper(), str.swapcase]
)
def test_a_known_key_does_not_open_the_door_for_one_like_it(
    path: Path, spoil: Callable[[str], str]
) -> None:
    key = Keyring(path).create("checkout", 1.0)
    callers = KeyHolders(Keyring(path), HandClock())
    callers.identify(f"Bearer {key}")

    for header in (f"Bearer {spoil(key)}", spoil(f"Bearer {key}"), key, "Bearer", "", None):
        with pytest.raises(Unauthorized):
            callers.identify(header)


def test_a_key_that_is_made_later_works_within_two_seconds(path: Path) -> None:
    clock = HandClock()
    callers = KeyHolders(Keyring(path), clock)
    key = Keyring(path).create("checkout", 1.0)
    clock.now_s += 2.0

    assert callers.identify(f"Bearer {key}") == "checkout"


def test_a_revoked_key_stops_working_though_it_was_just_used(path: Path) -> None:
    clock = HandClock()
    key = Keyring(path).create("checkout", 1.0)
    callers = KeyHolders(Keyring(path), clock)
    callers.identify(f"Bearer {key}")
    Keyring(path).revoke(key.split("-")[1], 2.0)
    clock.now_s += 2.0

    with pytest.raises(Unauthorized, match="revoked"):
        callers.identify(f"Bearer {key}")


def overwritten(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 100)


def emptied(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("DROP TABLE keys")


@pytest.mark.parametrize("broken", [overwritten, emptied, Path.unlink])
def test_while_the_file_is_broken_the_last_keys_work_and_the_log_says_so_once(
    path: Path, broken: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    clock = HandClock()
    key = Keyring(path).create("checkout", 1.0)
    callers = KeyHolders(Keyring(path), clock)
    good = path.read_bytes()
    broken(path)
    for _ in range(3):
        clock.now_s += 2.0
        assert callers.identify(f"Bearer {key}") == "checkout"
    with pytest.raises(Unauthorized):
        callers.identify("Bearer tk-00-00")
    assert caplog.text.count("keys.db: the key file cannot be used") == 1

    path.write_bytes(good)
    Keyring(path).revoke(key.split("-")[1], 2.0)
    clock.now_s += 2.0
    with pytest.raises(Unauthorized):
        callers.identify(f"Bearer {key}")
    assert "can be read again" in caplog.text


def test_a_gateway_does_not_start_on_a_file_that_is_no_keyring(path: Path) -> None:
    overwritten(path)

    with pytest.raises(KeyringError, match=r"keys\.db: the key file cannot be used"):
        KeyHolders(Keyring(path), HandClock())
