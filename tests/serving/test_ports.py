"""Who listens on a port: on Linux the system tells."""

import os
import socket
import sys
from pathlib import Path

import pytest

from serving.ports import pick_free_port, who_listens


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/net")
def test_the_process_that_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert str(who_listens(port)).startswith(f"pid {os.getpid()} (")


def test_nobody_listens_on_a_free_port() -> None:
    assert who_listens(pick_free_port("127.0.0.1")) is None


def test_a_system_that_does_not_tell_is_no_error(tmp_path: Path) -> None:
    assert who_listens(80, tmp_path) is None
