"""One engine's life: checked, started, ready, stopped. Who restarts it is the supervisor."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import httpx

from serving.causes import cause_of_end
from serving.command import engine_command
from serving.errors import BadConfig, FileMissing, PortTaken
from serving.ports import pick_free_port, port_is_free, who_listens
from serving.process import Process
from serving.spec import EngineSpec
from serving.vllm_command import vllm_key
from serving.vllm_spec import VllmSpec, is_path

_PROBE_TIMEOUT_S = 120.0
"""The first token is the slow one."""


class Engine:
    """A server of a model, in a child process of its own.

    `stop` may come from any thread; everything else belongs to one.
    """

    def __init__(self, spec: EngineSpec, *, logs: Path, env: Mapping[str, str], cores: int) -> None:
        port = spec.port or pick_free_port(spec.host)
        self.spec = spec.model_copy(update={"port": port})
        command = engine_command(self.spec, env=env, cores=cores)
        key = vllm_key(self.spec, env) if isinstance(self.spec, VllmSpec) else None
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._path = env.get("PATH")
        self._process = Process(
            f"engine {spec.name}",
            command.argv,
            env=command.env,
            log=logs / f"engine-{spec.name}.log",
            grace_s=spec.grace_s,
            cause=cause_of_end,
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
            with httpx.Client(
                base_url=self.spec.base_url,
                headers=self._headers,
                timeout=_PROBE_TIMEOUT_S,
                trust_env=False,  # it is on this machine: no proxy in between
            ) as http:
                return self._process.wait_ready(
                    lambda: _answers(http, self.spec), timeout_s=self.spec.ready_within_s
                )
        except BaseException:
            self._process.end()
            raise

    def wait_end(self) -> str:
        """Blocks until it ends; says how, in words."""
        return self._process.how_it_ended(self._process.wait() or 0)

    def stop(self) -> None:
        """Ends it within the grace period, for good."""
        self._process.stop()

    def _check(self) -> None:
        who = f"engine {self.spec.name}"
        for what, path in self.spec.files:
            if not path.exists():
                raise FileMissing(who, what, path)
        if isinstance(self.spec, VllmSpec) and not is_path(self.spec.executable):
            _must_be_on_path(self.spec, self._path)
        if not port_is_free(self.spec.host, self.spec.port):
            by = who_listens(self.spec.port) or "what listens there"
            fix = f"stop {by} or set another port in [engines.{self.spec.name}]"
            raise PortTaken(self.spec.host, self.spec.port, who=who, fix=fix)


def _must_be_on_path(spec: VllmSpec, path: str | None) -> None:
    if shutil.which(spec.executable, path=path) is None:
        raise BadConfig(
            f"[engines.{spec.name}]",
            f"executable: {spec.executable!r} is not on PATH; install vLLM in an environment of "
            "its own (pip install 'tutelage[vllm]') and give the path of its bin/vllm",
        )


def _answers(http: httpx.Client, spec: EngineSpec) -> bool:
    """Healthy, and one real token through the whole model: the first one is the slow one."""
    try:
        if http.get(f"{spec.url}/health").status_code != httpx.codes.OK:
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
