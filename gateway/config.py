"""Settings: read once, checked whole, then frozen. Unknown keys are refused.

One TOML file. `[engines.*]` belongs to the `serving` package, which checks it; here it is only
let through.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from gateway.affinity import Affinity
from gateway.logs import LogForm
from gateway.section import Section, Share
from gateway.tracing.settings import Otel
from gateway.watch_settings import RELEASE, Canary, Drift, Shadow
from router.checks import Check
from router.divergence import Comparator
from router.gate import Signal
from router.json_fields import JsonRule
from router.policy import Mode
from router.verify_rules import Chow, Diff, Greedy, Lenient, Opt, Rule, TokenV1, TokenV2, TopK

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}

PositiveSeconds = Annotated[float, Field(gt=0, le=86_400)]


class ConfigError(Exception):
    """The configuration cannot be used; the message names file, key, value and fix."""


def _sqlite(url: str) -> str:
    if not url.startswith("sqlite:///"):
        raise ValueError(f"{url!r} is not a store we know; use sqlite:///absolute/path.db")
    return url


StoreUrl = Annotated[str, AfterValidator(_sqlite)]


class Server(Section):
    """`auth`: with "keys", clients need one of those in the file `keys`.

    Past `max_in_flight`, up to `max_queued` requests wait up to `queue_s` for their turn, which
    comes to each caller in turn; the others get 429. `caller_share`: how much of `max_in_flight`
    one caller may hold. `state`: the file of thresholds applied by `tutelage tune`, which go
    before the gate's own, and of what `tutelage releases` put in service.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    max_in_flight: Annotated[int, Field(ge=1)] = 1024
    max_queued: Annotated[int, Field(ge=0)] = 256
    queue_s: PositiveSeconds = 5.0
    caller_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_body_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    drain_s: PositiveSeconds = 30.0

    auth: Literal["keys", "none"] = "none"
    keys: StoreUrl | None = None
    state: StoreUrl | None = None
    log: LogForm = LogForm.TEXT

    @model_validator(mode="after")
    def _no_open_door(self) -> Self:
        if self.auth == "none" and self.host not in _LOOPBACK:
            raise ValueError(
                f"auth = 'none' is refused on host {self.host!r}: anyone who can reach it could "
                "use it; set auth = 'keys' (see `tutelage keys create`) or host = '127.0.0.1'"
            )
        return self


class EnvSecret(Section):
    """A secret is named, never written down: `{ env = "NAME" }`."""

    env: str

    def read(self, environ: Mapping[str, str]) -> SecretStr:
        if not (value := environ.get(self.env)):
            raise ConfigError(f"the environment variable {self.env} is not set")
        return SecretStr(value)


class Price(Section):
    input_usd_per_mtok: Annotated[float, Field(ge=0)] = 0.0
    output_usd_per_mtok: Annotated[float, Field(ge=0)] = 0.0


class Timeouts(Section):
    """Seconds. `first_token_s` runs until the first byte of the answer's body."""

    connect_s: PositiveSeconds = 2.0
    first_token_s: PositiveSeconds = 30.0
    idle_s: PositiveSeconds = 15.0
    total_s: PositiveSeconds = 300.0


def _http_base(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} must start with http:// or https:// (and usually ends in /v1)")
    return url.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_http_base)]


class Breaker(Section):
    """When a replica is left alone: see `gateway.breaker`. Seconds; `window` counts calls."""

    failures: Annotated[int, Field(ge=1)] = 5
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    window: Annotated[int, Field(ge=1, le=1024)] = 20
    open_s: PositiveSeconds = 1.0
    max_open_s: PositiveSeconds = 60.0
    forget_s: PositiveSeconds = 60.0


class Upstream(Section):
    """`base_url` may be a list: replicas of the same model.

    `retries` per call, `retry_share` of all calls. Past `max_in_flight` a call waits `queue_s` for
    another to end. `affinity`: which requests prefer the same replica. `background_priority`: the
    `priority` that calls off the path are sent with, later than clients' where the engine orders by
    it (vLLM: `--scheduling-policy priority`, a higher number is later, 0 the default).
    """

    base_url: BaseUrl | Annotated[tuple[BaseUrl, ...], Field(min_length=1)]
    model: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$")]
    price: Price = Price()
    timeouts: Timeouts = Timeouts()
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    retry_share: Share = 0.2
    max_in_flight: Annotated[int, Field(ge=1)] = 256
    queue_s: PositiveSeconds = 1.0
    affinity: Affinity = Affinity.NONE
    background_priority: int | None = None
    breaker: Breaker = Breaker()
    api_key: EnvSecret | None = None

    @property
    def replicas(self) -> tuple[str, ...]:
        return (self.base_url,) if isinstance(self.base_url, str) else self.base_url


class Gate(Section):
    signal: Signal = Signal.MEAN_PROBABILITY
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.8
    window_tokens: Annotated[int, Field(ge=1, le=4096)] = 24


def _each_once(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    if len(set(checks)) < len(checks):
        raise ValueError("a check is named twice; name each once")
    return checks


_BY_SHARE: Mapping[str, Callable[[float], Rule]] = {
    "lenient": Lenient,
    "token_v1": TokenV1,
    "token_v2": TokenV2,
    "chow": Chow,
    "diff": Diff,
    "opt": Opt,
}


class Verify(Section):
    """With `fallback = "verify"`: the rule that says which of the student's tokens stand.

    `by` is its number: epsilon of "lenient", k of "top_k", alpha of the others; "greedy" has none.
    `tie_nats`: of "greedy", how far ahead the first choice must be. `top_logprobs`: how many of the
    teacher's choices are kept for each token, two at least.
    """

    rule: Literal["greedy", "lenient", "token_v1", "token_v2", "top_k", "chow", "diff", "opt"] = (
        "greedy"
    )
    by: Annotated[float, Field(ge=0)] | None = None
    tie_nats: Annotated[float, Field(ge=0, le=20)] = 0.05
    top_logprobs: Annotated[int, Field(ge=2, le=20)] = 5

    @model_validator(mode="after")
    def _has_its_number(self) -> Self:
        if (self.by is None) is (self.rule != "greedy"):
            wants = "takes no `by`" if self.rule == "greedy" else "needs `by`, its number"
            raise ValueError(f"rule {self.rule!r} {wants}")
        self.made()
        return self

    def made(self) -> Rule:
        """Raises ValueError for a number out of range."""
        if self.by is None:
            return Greedy(self.tie_nats)
        if self.rule == "top_k":
            if not self.by.is_integer():
                raise ValueError(f"by must be a whole number for top_k, got {self.by:g}")
            return TopK(int(self.by))
        return _BY_SHARE[self.rule](self.by)


class CompareJson(Section):
    """When two JSON values are the same, for the comparators "json" and "tool_calls".

    `tolerance`: how far apart numbers may be, relative to the larger. `unordered`: lists whose
    order does not matter, by their path: "tags", "order.items", "" for an answer that is a list.
    """

    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.0
    unordered: tuple[str, ...] = ()

    def made(self) -> JsonRule:
        return JsonRule(self.tolerance, frozenset(self.unordered))


class Collapse(Section):
    """With `on_collapse = "takeover"`: see `router.collapse`."""

    below: Annotated[float, Field(gt=0, le=1)] = 0.5
    window_tokens: Annotated[int, Field(ge=1, le=4096)] = 24


class Route(Section):
    """What clients put in `model`. `label` is the JSON field whose value is the decision.

    `mode = "speculative"`: the teacher serves, and in its own engine the student drafts for it.
    `compare`: how two answers are compared; the first one defines agreement.

    `release`: what the student's engine serves, for traces and headers.

    `checks`: what makes a student's answer a deferral whatever its confidence, in this order.
    """

    mode: Mode = Mode.CASCADE
    student: str
    teacher: str
    release: Annotated[str, Field(pattern=RELEASE)] | None = None
    canary: Canary | None = None
    label: str | None = None
    gate: Gate = Gate()
    checks: Annotated[tuple[Check, ...], AfterValidator(_each_once)] = ()
    fallback: Literal["regenerate", "verify"] = "regenerate"
    verify: Verify = Verify()
    on_collapse: Literal["continue", "takeover"] = "continue"
    collapse: Collapse = Collapse()
    shadow: Shadow = Shadow()
    compare: Annotated[tuple[Comparator, ...], Field(min_length=1)] = (Comparator.NORMALISED,)
    compare_json: CompareJson = CompareJson()
    drift: Drift = Drift()

    @property
    def reads(self) -> tuple[str, ...]:
        """The keys for which the teacher must be able to read the student's tokens."""
        asked = {
            "fallback": self.fallback == "verify",
            "shadow.method": self.shadow.method == "verify",
            "on_collapse": self.on_collapse == "takeover",
        }
        return tuple(key for key, wished in asked.items() if wished)

    @model_validator(mode="after")
    def _reads_a_cascade(self) -> Self:
        if self.reads and self.mode is not Mode.CASCADE:
            raise ValueError(
                f"{' and '.join(self.reads)}: only a cascade has a student whose tokens a teacher "
                f"can go on from; set mode = 'cascade', or leave the key out"
            )
        return self


class Traces(Section):
    store: StoreUrl | None = None
    content: Literal["full", "none"] = "full"
    retention_days: Annotated[float, Field(gt=0)] = 30.0


class Settings(Section):
    server: Server = Server()
    upstreams: Annotated[Mapping[str, Upstream], Field(min_length=1)]
    routes: Annotated[Mapping[str, Route], Field(min_length=1)]
    traces: Traces = Traces()
    otel: Otel = Otel()
    engines: Mapping[str, object] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        for name, route in self.routes.items():
            if ":" in name:
                raise ValueError(
                    f"routes.{name}: a route's name has no ':', which marks a pin (support:teacher)"
                )
            for role in ("student", "teacher"):
                if (upstream := getattr(route, role)) not in self.upstreams:
                    raise ValueError(
                        f"routes.{name}.{role} = {upstream!r} is not under [upstreams]; "
                        f"known: {', '.join(sorted(self.upstreams))}"
                    )
        return self


def load(path: Path) -> Settings:
    """Read and check a TOML file. Raises ConfigError with one line per problem."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, error))) from error


def override(
    settings: Settings,
    *,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
) -> Settings:
    """What the command line says instead of the file; checked as the file is."""
    said = {"host": host, "port": port, "workers": workers}
    wished = {key: value for key, value in said.items() if value is not None}
    try:
        server = Server.model_validate({**settings.server.model_dump(), **wished})
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(Path("command line"), error))) from error
    return settings.model_copy(update={"server": server})


def secrets(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, SecretStr]:
    """The API key of each upstream that names one. Raises ConfigError for a variable not set."""
    environ = os.environ if environ is None else environ
    found = {}
    for name, upstream in settings.upstreams.items():
        if upstream.api_key is not None:
            try:
                found[name] = upstream.api_key.read(environ)
            except ConfigError as error:
                raise ConfigError(f"upstreams.{name}.api_key: {error}") from error
    return found


def _explain(path: Path, error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{path}: {key}: unknown key; remove it or mend its spelling")
            continue
        message = problem["msg"].removeprefix("Value error, ")
        got = (
            "" if problem["type"] in {"missing", "value_error"} else f" (got {problem['input']!r})"
        )
        lines.append(f"{path}: {key + ': ' if key else ''}{message}{got}")
    return lines
