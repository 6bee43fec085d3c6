"""The second half of `tutelage doctor`: what upstreams can do beyond answering, and its meaning."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import httpx
import msgspec
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from gateway.abilities import Abilities, Lacking
from gateway.config import Settings, Upstream
from gateway.prospects import Ability, Prospect, prospects
from router.policy import Mode

_QUESTIONS: Mapping[Ability, Callable[[Abilities], str]] = {
    Ability.DEPTH: Abilities.logprobs_depth,
    Ability.PROMPT_LOGPROBS: Abilities.prompt_logprobs,
    Ability.TOKEN_IDS: Abilities.token_ids,
    Ability.PREFILL: Abilities.prefill,
    Ability.TOOL_CALL: Abilities.tool_call,
    Ability.SCHEMA: Abilities.schema,
    Ability.HANG_UP: Abilities.hang_up,
    Ability.DRAFTS: Abilities.drafts,
}
_UNANSWERED = (httpx.HTTPError, msgspec.DecodeError, ValueError)


@dataclass(frozen=True, slots=True)
class Seen:
    """One ability of one upstream, or of one of its replicas."""

    upstream: str
    ability: Ability
    present: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Depth:
    """What doctor adds to its first findings."""

    seen: tuple[Seen, ...]
    prospects: tuple[Prospect, ...]


def look_deeper(
    settings: Settings, secrets: Mapping[str, SecretStr], answering: Collection[str]
) -> Depth:
    """Asks each upstream in `answering`, at every replica."""
    upstreams = {name: each for name, each in settings.upstreams.items() if name in answering}
    seen: list[Seen] = []
    cuts: dict[str, list[list[int]]] = {}
    for name, upstream in upstreams.items():
        cuts[name] = []
        for url in upstream.replicas:
            label = name if len(upstream.replicas) == 1 else f"{name} {url}"
            with _client(upstream, url, secrets.get(name)) as client:
                asking = Abilities(upstream.model, client)
                seen += [_asked(label, each, ask, asking) for each, ask in _QUESTIONS.items()]
                try:
                    cuts[name].append(asking.cuts())
                except (Lacking, *_UNANSWERED):
                    cuts[name].append([])
    pairs = {
        (route.student, route.teacher)
        for route in settings.routes.values()
        if route.mode is Mode.CASCADE and {route.student, route.teacher} <= upstreams.keys()
    }
    seen += [_same(student, teacher, cuts) for student, teacher in sorted(pairs)]
    able: dict[tuple[str, Ability], bool] = {}
    for each in seen:  # at every replica; and a student may have several teachers
        key = each.upstream.split()[0], each.ability
        able[key] = able.get(key, True) and each.present
    told = [
        each for name, route in settings.routes.items() for each in prospects(name, route, able)
    ]
    return Depth(tuple(seen), tuple(told))


def show(depth: Depth, console: Console) -> None:
    """Two tables: what was seen, and what it means."""
    table = Table("upstream", "ability", "", "seen")
    for each in depth.seen:
        mark = "[green]yes[/]" if each.present else "[yellow]no[/]"
        table.add_row(each.upstream, each.ability.value, mark, each.detail)
    console.print(table)
    means = Table("route", "could have", "", "because")
    for prospect in depth.prospects:
        mark = "[green]yes[/]" if prospect.possible else "[yellow]no[/]"
        means.add_row(prospect.route, prospect.what, mark, prospect.why)
    console.print(means)


def _client(upstream: Upstream, url: str, key: SecretStr | None) -> httpx.Client:
    return httpx.Client(
        base_url=url,
        headers={"authorization": f"Bearer {key.get_secret_value()}"} if key else {},
        timeout=httpx.Timeout(upstream.timeouts.first_token_s, connect=upstream.timeouts.connect_s),
        # Each question on a connection of its own: llama.cpp may drop one after a stream.
        limits=httpx.Limits(max_keepalive_connections=0),
    )


def _asked(name: str, ability: Ability, ask: Callable[[Abilities], str], asking: Abilities) -> Seen:
    try:
        return Seen(name, ability, present=True, detail=ask(asking))
    except (Lacking, *_UNANSWERED) as error:
        return Seen(name, ability, present=False, detail=str(error) or type(error).__name__)


def _same(student: str, teacher: str, cuts: Mapping[str, list[list[int]]]) -> Seen:
    silent = [name for name in (student, teacher) if not all(cuts[name])]
    if silent:
        detail = f"{' and '.join(silent)}: tells no tokens (/tokenize)"
        return Seen(student, Ability.SAME_TOKENS, present=False, detail=detail)
    first, *others = cuts[student] + cuts[teacher]
    same = all(each == first for each in others)
    detail = f"cuts text {'as' if same else 'not as'} {teacher} does"
    return Seen(student, Ability.SAME_TOKENS, present=same, detail=detail)
