"""One engine's life: checked, started, ready, stopped. Who restarts it is the supervisor."""

from collections.abc import Mapping
from pathlib import Path

import httpx

from serving.command import engine_command
from serving.errors import FileMissing, PortTaken
from serving.ports import pick_free_port, port_is_free
from serving.process import Process, how_it_ended
from serving.spec import EngineSpec

READY_WITHIN_S = 120.0
"""Loading takes a second on an idle machine; a busy laptop with a cold disk gets its time."""

_GRACE_S = 5.0
_PROBE_TIMEOUT_S = 30.0


class Engine:
    """A llama.cpp server on loopback, in a child process of its own.

    `stop` may come from any thread; everything else belongs to one.
    """

    def __init__(self, spec: EngineSpec, *, logs: Path, env: Mapping[str, str], cores: int) -> None:
        port = spec.port or pick_free_port(spec.host)
        self.spec = spec.model_copy(update={"port": port})
        command = engine_command(self.spec, env=env, cores=cores)
        self._process = Process(
            f"engine {spec.name}",
            command.argv,
            env=command.env,
            log=logs / f"engine-{spec.name}.log",
            grace_s=_GRACE_S,
        )

    @property
    def name(self) -> str:
        """As in the config's `[engines.NAME]`."""
        return self.spec.name

    @property
    def pid(self) -> int | None:
        """None when it does not run."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """Kept over restarts."""
        return self._process.log

    def start(self) -> float:
        """Runs it and waits until it completes a request; returns the seconds that took.

        Raises `FileMissing`, `PortTaken`, `ProcessDied`, `NotReady`; after the last two nothing
        of it is left running.
        """
        self._check()
        self._process.start()
        try:
            with httpx.Client(base_url=self.spec.base_url, timeout=_PROBE_TIMEOUT_S) as http:
                return self._process.wait_ready(
                    lambda: _answers(http, self.spec), timeout_s=READY_WITHIN_S
                )
        except BaseException:
            self._process.end()
            raise

    def wait_end(self) -> str:
        """Blocks until it ends; says how, in words."""
        return how_it_ended(self._process.wait() or 0)

    def stop(self) -> None:
        """Ends it within the grace period, for good."""
        self._process.stop()

    def _check(self) -> None:
        who = f"engine {self.spec.name}"
        for what, path in (
            ("model file", self.spec.gguf),
            *(("LoRA adapter", adapter.path) for adapter in self.spec.adapters),
        ):
            if not path.is_file():
                raise FileMissing(who, what, path)
        if not port_is_free(self.spec.host, self.spec.port):
            fix = f"stop what listens there or set another port in [engines.{self.spec.name}]"
            raise PortTaken(self.spec.host, self.spec.port, who=who, fix=fix)


def _answers(http: httpx.Client, spec: EngineSpec) -> bool:
    """Healthy, and one real token through the whole model: the first one is the slow one."""
    try:
        if http.get(f"http://{spec.host}:{spec.port}/health").status_code != httpx.codes.OK:
            return False
        reply = http.post(
            "chat/completions",
            json={
                "model": spec.model,
                "messages": [{"role": "user", "content": "Hello."}],
                "max_tokens": 1,
            },
        )
    except httpx.TransportError:
        return False
    return reply.status_code == httpx.codes.OK
