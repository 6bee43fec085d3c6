"""The gateway as a child process: a command to us, nothing of it is imported."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from serving.deployment import Deployment
from serving.errors import ServingError
from serving.process import Process

GATEWAY = (sys.executable, "-P", "-m", "gateway.commands", "gateway")

READY_WITHIN_S = 60.0

MARGIN_S = 3.0
"""Beyond the gateway's own `server.drain_s`: to cut what is left and write the last traces."""


class GatewayChild:
    """One gateway, run from the same config file that its engines were started from."""

    def __init__(self, deployment: Deployment, *, logs: Path, env: Mapping[str, str]) -> None:
        self._url = deployment.url
        self._process = Process(
            "gateway",
            (*GATEWAY, "--config", str(deployment.config)),
            env={**env, "PYTHONUNBUFFERED": "1"},
            log=logs / f"gateway-{deployment.port}.log",
            grace_s=deployment.drain_s + MARGIN_S,
        )

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def log(self) -> Path:
        return self._process.log

    def start(self) -> float:
        """Seconds until `/readyz` said 200. Raises `ProcessDied` or `NotReady`."""
        self._process.start()
        return self._process.wait_ready(self._is_ready, timeout_s=READY_WITHIN_S)

    def must_be_alive(self) -> None:
        """Raises `ProcessDied` if it ended."""
        if (status := self._process.wait(0)) is not None:
            raise self._process.death(status)

    def wait_end(self) -> ServingError:
        """Blocks until it ends on its own; the error that tells how."""
        return self._process.death(self._process.wait() or 0)

    def stop(self) -> None:
        self._process.stop()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self._url}/readyz", timeout=5.0).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def gateway_must_accept(config: Path, env: Mapping[str, str]) -> None:
    """Its own check, before engines are started for a file that it would refuse.

    Raises `ServingError` with what it found.
    """
    checked = subprocess.run(  # noqa: S603 (our own command)
        [*GATEWAY, "--check", "--config", str(config)],
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode != 0:
        raise ServingError((checked.stderr + checked.stdout).strip())
