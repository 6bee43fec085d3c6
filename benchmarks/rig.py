"""The rig: mock upstream and load generator on one core, the server under test on the other."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import bodies
from benchmarks.load import LoadGenerator
from benchmarks.mock import Mock, Pace
from benchmarks.pinned import pinned
from benchmarks.place import Launch, Place
from benchmarks.programs import compiled
from benchmarks.results import Measured
from benchmarks.scenarios import Scenario
from benchmarks.usage import Usage, usage
from benchmarks.ways import Way
from serving.ports import pick_free_port
from serving.process import Process

HOST = "127.0.0.1"
SERVER_CORE = 0
OTHER_CORE = 1
_READY_WITHIN_S = 120.0
_GRACE_S = 10.0
_PREFIX = "run-"
_ABANDONED_AFTER_S = 7200.0


@dataclass(frozen=True, slots=True)
class Rig:
    """`cache`: what is kept between runs; `scratch`: what is not."""

    cache: Path
    scratch: Path
    mock: Mock
    load: LoadGenerator

    @contextmanager
    def standing(self, way: Way) -> "Iterator[Standing]":
        """Starts the way's server. Raises NotHere, ProcessDied or NotReady."""
        folder = Path(tempfile.mkdtemp(dir=self.scratch, prefix=f"{way.name}-"))
        try:
            if way.launch is None:
                yield Standing(self, way, folder, self.mock.port, Launch((), "", ""), None)
                return
            place = Place(
                scratch=folder,
                cache=self.cache,
                port=pick_free_port(HOST),
                upstream_port=self.mock.port,
                spare_port=pick_free_port(HOST),
            )
            launch = way.launch(place)
            with running(
                way.name, launch, core=SERVER_CORE, port=place.port, logs=self.cache
            ) as server:
                yield Standing(self, way, folder, place.port, launch, server)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # the trace store may be of gigabytes


@dataclass(frozen=True, slots=True)
class Standing:
    """A server that is up. `server` is None for the mock itself."""

    rig: Rig
    way: Way
    folder: Path
    port: int
    launch: Launch
    server: Process | None

    @property
    def pid(self) -> int | None:
        return self.server.pid if self.server is not None else None

    def measure(self, scenario: Scenario) -> Measured:
        mock = self.rig.mock
        mock.set(scenario.pace or Pace(tokens=1))
        body = self.body(scenario)
        counted, used = mock.counted(), self.usage()
        heard = self.rig.load.run(scenario.demand, port=self.port, body=body, key=self.launch.key)
        counted_after, used_after = mock.counted(), self.usage()
        return Measured(
            heard=heard,
            cpu_s=used_after.cpu_s - used.cpu_s,
            upstream_requests=counted_after.requests - counted.requests,
            upstream_chunks=counted_after.chunks - counted.chunks,
        )

    def body(self, scenario: Scenario) -> Path:
        return bodies.written(
            self.folder,
            self.way.model,
            scenario.size,
            stream=scenario.pace is not None,
            logprobs=self.way.logprobs,
        )

    def usage(self) -> Usage:
        return usage(self.pid) if self.pid is not None else Usage(0.0, 0.0, 0.0)


@contextmanager
def rig(cache: Path) -> Iterator[Rig]:
    """The mock runs until the block is left. Raises NoCompiler."""
    cache.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=cache, prefix=_PREFIX)))
        _sweep(cache, scratch)
        port = pick_free_port(HOST)
        argv = (str(compiled("mock_upstream", cache)), str(port))
        launch = Launch(argv, "/health", "")
        stack.enter_context(running("mock", launch, core=OTHER_CORE, port=port, logs=cache))
        load = LoadGenerator(compiled("load", cache), OTHER_CORE)
        yield Rig(cache, scratch, Mock(port), load)


def _sweep(cache: Path, own: Path) -> None:
    """What runs left behind that were killed: their trace stores may be of gigabytes."""
    now_s = own.stat().st_mtime
    for folder in cache.glob(f"{_PREFIX}*"):
        if now_s - folder.stat().st_mtime > _ABANDONED_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(name: str, launch: Launch, *, core: int, port: int, logs: Path) -> Iterator[Process]:
    """A server that is ready, until the block is left or this process ends in whatever way."""
    log = logs / f"{name}.log"
    log.unlink(missing_ok=True)
    url = f"http://{HOST}:{port}{launch.ready_path}"
    env = {**_without_proxies(os.environ), **launch.env}
    server = Process(name, pinned(core, launch.argv), log=log, env=env, grace_s=_GRACE_S)
    try:
        server.start()
        server.wait_ready(lambda: _answers(url), timeout_s=_READY_WITHIN_S)
        yield server
    finally:
        server.stop()


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, timeout=5.0, trust_env=False).status_code == httpx.codes.OK
    return False


def _without_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environ.items() if not key.lower().endswith("_proxy")}
