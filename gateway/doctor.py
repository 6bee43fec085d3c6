"""`tutelage doctor`: what each upstream can do, found by asking, and what that means for routes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx
import msgspec
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from gateway.chat import ChatReply, parse_reply
from gateway.config import Route, Settings, Upstream
from gateway.deep_doctor import Depth, show
from gateway.refusal import read_error
from gateway.responses import LOGPROBS_WISH, ResponsesReply, read_response
from gateway.sse import DONE, SseDecoder
from gateway.verify_doctor import examined
from router.policy import Mode

_QUESTION = {
    "messages": [{"role": "user", "content": "Say yes."}],
    "max_tokens": 4,
    "temperature": 0,
}
_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "schema": {"type": "object", "properties": {"yes": {"type": "boolean"}}},
    },
}
_TOOL = {
    "type": "function",
    "function": {"name": "wait", "parameters": {"type": "object", "properties": {}}},
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One question to one upstream. `detail` says what was seen."""

    upstream: str
    capability: str
    present: bool
    detail: str


class Unfit(Exception):
    """The upstream does not do what was asked; the message says what it did."""


class Probe:
    """Puts one question after the other to an upstream. Each method returns what it saw."""

    def __init__(self, upstream: Upstream, client: httpx.Client) -> None:
        self._upstream = upstream
        self._client = client

    def reachable(self) -> str:
        return f"answered in {self._models().elapsed.total_seconds() * 1000:.0f} ms"

    def model(self) -> str:
        listed = [str(each.get("id")) for each in self._models().json().get("data", [])]
        if self._upstream.model not in listed:
            raise Unfit(f"{self._upstream.model!r} is not among {', '.join(listed) or 'none'}")
        return self._upstream.model

    def completion(self) -> str:
        reply = self._ask()
        if not reply.parts:
            raise Unfit("no choices in the answer")
        return f"{reply.usage.completion_tokens} tokens" if reply.usage else "no usage"

    def stream(self) -> str:
        chunks = self._stream()
        return f"{len(chunks)} chunks, then [DONE]"

    def stream_usage(self) -> str:
        chunks = self._stream(stream_options={"include_usage": True})
        if not any(chunk.usage for chunk in chunks):
            raise Unfit("no usage chunk")
        return "in the last chunk"

    def logprobs(self) -> str:
        tokens = [token for choice in self._ask(logprobs=True).parts for token in choice.tokens()]
        if not tokens:
            raise Unfit("asked for, none came")
        return f"first token {tokens[0][1]:.3f} nats"

    def stream_logprobs(self) -> str:
        chunks = self._stream(logprobs=True)
        count = sum(len(choice.tokens()) for chunk in chunks for choice in chunk.parts)
        if not count:
            raise Unfit("asked for, none came in the stream")
        return f"{count} tokens"

    def json_schema(self) -> str:
        self._ask(response_format=_SCHEMA)
        return "accepted"

    def tools(self) -> str:
        self._ask(tools=[_TOOL])
        return "accepted"

    def tool_stream_logprobs(self) -> str:
        chunks = self._stream(logprobs=True, tools=[_TOOL])
        if not any(choice.tokens() for chunk in chunks for choice in chunk.parts):
            raise Unfit("asked for, none came in the stream")
        return "accepted"

    def responses(self) -> str:
        return f"{len(self._respond().parts)} message"

    def responses_logprobs(self) -> str:
        reply = self._respond(include=[LOGPROBS_WISH], top_logprobs=1)
        if not any(part.tokens() for part in reply.parts):
            raise Unfit("asked for, none came")
        return "given"

    def priority(self) -> str:
        self._ask(priority=1)
        return "accepted; vLLM heeds it with --scheduling-policy priority"

    def _models(self) -> httpx.Response:
        response = self._client.get("/models")
        if response.status_code != httpx.codes.OK:
            raise Unfit(f"GET /models: status {response.status_code}")
        return response

    def _ask(self, **more: object) -> ChatReply:
        response = self._client.post(
            "/chat/completions", json={"model": self._upstream.model, **_QUESTION, **more}
        )
        if response.status_code != httpx.codes.OK:
            raise Unfit(
                f"status {response.status_code}: {read_error(response.content).message[:120]}"
            )
        return parse_reply(response.content)

    def _respond(self, **more: object) -> ResponsesReply:
        question = {"input": "Say yes.", "max_output_tokens": 16, "temperature": 0, **more}
        response = self._client.post("/responses", json={"model": self._upstream.model, **question})
        if response.status_code != httpx.codes.OK:
            raise Unfit(
                f"status {response.status_code}: {read_error(response.content).message[:120]}"
            )
        return read_response(response.content)

    def _stream(self, **more: object) -> list[ChatReply]:
        body = {"model": self._upstream.model, **_QUESTION, "stream": True, **more}
        decoder, payloads = SseDecoder(), list[bytes]()
        with self._client.stream("POST", "/chat/completions", json=body) as response:
            if response.status_code != httpx.codes.OK:
                words = read_error(response.read()).message[:120]
                raise Unfit(f"status {response.status_code}: {words}")
            for data in response.iter_bytes():
                payloads += decoder.feed(data)
        if not payloads or payloads[-1] != DONE:
            raise Unfit("the stream ended without [DONE]")
        return [parse_reply(payload) for payload in payloads[:-1]]


_TOOL_STREAM, _RESPONSES = "tool stream logprobs", "responses logprobs"

_WITHOUT_SIGNAL = {_TOOL_STREAM: "streams with tools", _RESPONSES: "/v1/responses"}
"""What the teacher answers alone where the student has no logprobs for it."""

_CHECKS: dict[str, Callable[[Probe], str]] = {
    "reachable": Probe.reachable,
    "model": Probe.model,
    "completion": Probe.completion,
    "stream": Probe.stream,
    "stream usage": Probe.stream_usage,
    "logprobs": Probe.logprobs,
    "stream logprobs": Probe.stream_logprobs,
    "json_schema": Probe.json_schema,
    "tools": Probe.tools,
    _TOOL_STREAM: Probe.tool_stream_logprobs,
    "responses": Probe.responses,
    _RESPONSES: Probe.responses_logprobs,
    "priority": Probe.priority,
}


def examine(settings: Settings, secrets: Mapping[str, SecretStr]) -> list[Finding]:
    """Every check on every upstream. One that cannot be reached is asked nothing further."""
    findings = []
    for name, upstream in settings.upstreams.items():
        key = secrets.get(name)
        headers = {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        timeout = httpx.Timeout(
            upstream.timeouts.first_token_s, connect=upstream.timeouts.connect_s
        )
        for base_url in upstream.replicas:
            # Each question on a connection of its own: llama.cpp may drop one after a stream.
            limits = httpx.Limits(max_keepalive_connections=0)
            with httpx.Client(
                base_url=base_url, headers=headers, timeout=timeout, limits=limits
            ) as client:
                label = name if len(upstream.replicas) == 1 else f"{name} {base_url}"
                findings += _examine_one(label, Probe(upstream, client))
    for route, present, detail in examined(settings, secrets):
        findings.append(Finding(route.teacher, _verifies(route), present, detail))
    return findings


def _examine_one(name: str, probe: Probe) -> list[Finding]:
    findings: list[Finding] = []
    for capability, check in _CHECKS.items():
        try:
            findings.append(Finding(name, capability, present=True, detail=check(probe)))
        except Unfit as unfit:
            findings.append(Finding(name, capability, present=False, detail=str(unfit)))
        except (httpx.HTTPError, msgspec.DecodeError, ValueError) as error:
            detail = str(error) or type(error).__name__
            findings.append(Finding(name, capability, present=False, detail=detail))
        if capability == "reachable" and not findings[-1].present:
            break
    return findings


def verdicts(settings: Settings, findings: list[Finding]) -> dict[str, tuple[bool, str]]:
    """By route: whether it works as configured, and what stands in its way."""
    able = {(finding.upstream.split()[0], finding.capability): False for finding in findings}
    for finding in findings:
        if finding.present:
            able[finding.upstream.split()[0], finding.capability] = True
    for finding in findings:  # which replica reads a draft is chance: all of them must
        if finding.capability.startswith(_READS) and not finding.present:
            able[finding.upstream.split()[0], finding.capability] = False
    refusing = [
        name
        for name, upstream in settings.upstreams.items()
        if upstream.background_priority is not None and not able.get((name, "priority"))
    ]
    return {name: _verdict(route, able, refusing) for name, route in settings.routes.items()}


def _verdict(
    route: Route, able: Mapping[tuple[str, str], bool], refusing: Sequence[str]
) -> tuple[bool, str]:
    """refusing: the upstreams that do not take the priority which shadow calls are sent with."""
    needed = {
        Mode.STUDENT: (route.student,),
        Mode.TEACHER: (route.teacher,),
        Mode.SPECULATIVE: (route.teacher,),
        Mode.CASCADE: (route.student, route.teacher),
    }[route.mode]
    silent = [name for name in needed if not able.get((name, "completion"))]
    if silent:
        return False, f"{' and '.join(silent)} cannot answer"
    if route.mode is Mode.CASCADE:
        whole = able.get((route.student, "logprobs"))
        streamed = able.get((route.student, "stream logprobs"))
        if not whole:
            return False, f"{route.student} gives no logprobs: every request goes to the teacher"
        if not streamed:
            return False, f"{route.student} streams no logprobs: every stream goes to the teacher"
    for name in (route.student, route.teacher):
        if route.shadow.rate > 0 and name in refusing:
            return False, f"{name} takes no priority: unset upstreams.{name}.background_priority"
    if route.reads and not able.get((route.teacher, _verifies(route))):
        instead = " and ".join(_INSTEAD[key] for key in route.reads)
        return False, f"{route.teacher} cannot {_verifies(route)}: {instead}"
    return True, f"{route.mode.value} works{_but(route, able)}"


def _but(route: Route, able: Mapping[tuple[str, str], bool]) -> str:
    """What a cascade does not cover."""
    blind = [
        what
        for capability, what in _WITHOUT_SIGNAL.items()
        if route.mode is Mode.CASCADE and not able.get((route.student, capability))
    ]
    if not blind:
        return ""
    why = f"{route.student} gives no logprobs there, so the teacher answers"
    return f", but for {' and '.join(blind)}: {why}"


_READS = "verify "
_INSTEAD = {
    "fallback": "deferrals are answered anew",
    "shadow.method": "shadows are written",
    "on_collapse": "what began goes on",
}


def _verifies(route: Route) -> str:
    return f"{_READS}{route.student}"


def answering(findings: list[Finding]) -> set[str]:
    """The upstreams that completed something, at one of their replicas."""
    found = (each for each in findings if each.capability == "completion" and each.present)
    return {each.upstream.split()[0] for each in found}


def report(findings: list[Finding], depth: Depth, settings: Settings, *, as_json: bool) -> int:
    """Print them. Returns 0 when every route works as configured, else 1."""
    routes = verdicts(settings, findings)
    if as_json:
        found: dict[str, Any] = {
            "upstreams": [asdict(finding) for finding in findings],
            "abilities": [asdict(each) for each in depth.seen],
            "prospects": [asdict(each) for each in depth.prospects],
            "routes": {name: {"works": works, "why": why} for name, (works, why) in routes.items()},
        }
        print(msgspec.json.encode(found).decode())  # noqa: T201 - a command's output
    else:
        console = Console()
        table = Table("upstream", "capability", "", "seen")
        for finding in findings:
            mark = "[green]yes[/]" if finding.present else "[red]no[/]"
            table.add_row(finding.upstream, finding.capability, mark, finding.detail)
        console.print(table)
        show(depth, console)
        for name, (works, why) in routes.items():
            console.print(f"route [bold]{name}[/]: {'[green]' if works else '[red]'}{why}[/]")
    return 0 if all(works for works, _ in routes.values()) else 1
