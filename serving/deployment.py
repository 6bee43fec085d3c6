"""What `tutelage up` reads from the one TOML file: its engines, and where the gateway will be.

Everything else in the file is the gateway's, which checks it with `tutelage gateway --check`.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.checked import Secret
from serving.elsewhere import Elsewhere
from serving.errors import BadConfig
from serving.home import Home
from serving.spec import EngineSpec, read_spec


class _Glimpse(BaseModel):
    """Only the keys that matter here; the rest passes."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Price(_Glimpse):
    """US dollars per million tokens."""

    input_usd_per_mtok: float = 0.0
    output_usd_per_mtok: float = 0.0

    def usd(self, *, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        millionths = (
            prompt_tokens * self.input_usd_per_mtok + completion_tokens * self.output_usd_per_mtok
        )
        return millionths / 1e6


class _Server(_Glimpse):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    drain_s: float = 30.0
    state: str | None = None


class _Upstream(_Glimpse):
    base_url: str | tuple[str, ...]
    model: str | None = None
    api_key: Secret | None = None
    price: Price = Price()

    @property
    def replicas(self) -> tuple[str, ...]:
        """Each without a slash at its end."""
        urls = (self.base_url,) if isinstance(self.base_url, str) else self.base_url
        return tuple(url.rstrip("/") for url in urls)


class _Canary(_Glimpse):
    release: str
    share: Annotated[float, Field(ge=0, le=1)]


class _Route(_Glimpse):
    """release: what the student's engine serves, where it is one. canary: see `rollout`."""

    student: str
    teacher: str
    release: str | None = None
    canary: _Canary | None = None


class _File(_Glimpse):
    server: _Server = _Server()
    upstreams: Mapping[str, _Upstream] = Field(default_factory=dict)
    routes: Mapping[str, _Route] = Field(default_factory=dict)
    engines: Mapping[str, Mapping[str, object]] = Field(default_factory=dict)


class Deployment(BaseModel):
    """One gateway and the engines on this machine that it talks to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Path
    host: str
    port: int
    drain_s: float
    """How long the gateway finishes requests in flight when it is told to stop."""
    engines: tuple[EngineSpec, ...]
    elsewhere: tuple[Elsewhere, ...]
    """What upstreams name and no engine here serves."""
    upstreams: Mapping[str, _Upstream]
    state: str | None
    """`server.state`, as the config has it."""
    prices: Mapping[str, Price]
    """By upstream."""
    routes: Mapping[str, _Route]

    @property
    def url(self) -> str:
        """The gateway's, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def read_deployment(config: Path) -> Deployment:
    """Reads a config file; paths in `[engines.*]` are relative to it. Raises `BadConfig`."""
    try:
        document = tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfig(str(config), f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(str(config), f"not TOML: {error}") from error
    try:
        file = _File.model_validate(document)
    except ValidationError as error:
        raise BadConfig(str(config), explain(error)) from error
    engines = tuple(_engine(config, name, table) for name, table in file.engines.items())
    for spec in engines:
        _must_be_used(config, spec, file.upstreams)
    return Deployment(
        config=config,
        host=file.server.host,
        port=file.server.port,
        drain_s=file.server.drain_s,
        engines=engines,
        elsewhere=_elsewhere(engines, file.upstreams),
        upstreams=file.upstreams,
        state=file.server.state,
        prices={name: upstream.price for name, upstream in file.upstreams.items()},
        routes=file.routes,
    )


def state_file(config: Path | None, home: Home) -> Path:
    """Where that gateway keeps what is changed while it runs. Raises `BadConfig`."""
    url = read_deployment(config).state if config is not None else None
    return state_path(url, home)


def state_path(url: str | None, home: Home) -> Path:
    """`server.state`, or the home's own."""
    return Path(url.removeprefix("sqlite://")).expanduser() if url is not None else home.state


def explain(error: ValidationError) -> str:
    """What pydantic found, as one line each: key, problem, what was given."""
    lines = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key; remove it or mend its spelling")
        elif problem["type"] == "missing":
            lines.append(f"{key}: missing")
        elif problem["type"] == "value_error":  # our own words, which name key and value
            lines.append(problem["msg"].removeprefix("Value error, "))
        else:
            lines.append(f"{key}: {problem['msg']} (got {problem['input']!r})")
    return "; ".join(lines)


def _engine(config: Path, name: str, table: Mapping[str, object]) -> EngineSpec:
    where = f"{config}: [engines.{name}]"
    try:
        spec = read_spec(where, name, table)
    except ValidationError as error:
        raise BadConfig(where, explain(error)) from error
    if spec.port == 0:
        raise BadConfig(where, "port: give one, the upstream's base_url has to name it")
    return spec.beside(config.absolute().parent)


def _elsewhere(
    engines: tuple[EngineSpec, ...], upstreams: Mapping[str, _Upstream]
) -> tuple[Elsewhere, ...]:
    here = {spec.base_url for spec in engines}
    return tuple(
        Elsewhere(upstream=name, base_url=url, model=upstream.model, api_key=upstream.api_key)
        for name, upstream in upstreams.items()
        for url in upstream.replicas
        if url not in here
    )


def _must_be_used(config: Path, spec: EngineSpec, upstreams: Mapping[str, _Upstream]) -> None:
    """An engine that no upstream names is a typing error in one of two ports."""
    if any(spec.base_url in upstream.replicas for upstream in upstreams.values()):
        return
    raise BadConfig(
        f"{config}: [engines.{spec.name}]", f"no upstream has base_url = {spec.base_url!r}"
    )
