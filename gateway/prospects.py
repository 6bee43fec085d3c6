"""What the abilities of its upstreams allow and forbid on a route. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from gateway.config import Route
from router.policy import Mode


class Ability(Enum):
    """What `gateway.abilities` asks for; the values are how doctor shows them."""

    DEPTH = "logprobs depth"
    PROMPT_LOGPROBS = "prompt logprobs"
    TOKEN_IDS = "token ids"  # noqa: S105 - no password
    PREFILL = "prefill"
    TOOL_CALL = "tool call"
    SCHEMA = "schema kept"
    HANG_UP = "hang-up"
    DRAFTS = "drafts told"
    SAME_TOKENS = "same tokens"
    """A student's: that its teacher cuts text the same way."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """Something that a route could do, and whether its upstreams let it."""

    route: str
    what: str
    possible: bool
    why: str
    """What is missing, and what happens instead; empty when it is possible."""


Able = Mapping[tuple[str, Ability], bool]
"""By upstream and ability; what was not asked is not there."""


def prospects(name: str, route: Route, able: Able) -> tuple[Prospect, ...]:
    """Of one route, in the order of a request's journey."""
    student, teacher = route.student, route.teacher
    asked = {
        Mode.STUDENT: (student,),
        Mode.TEACHER: (teacher,),
        Mode.SPECULATIVE: (teacher,),
        Mode.CASCADE: (student, teacher),
    }[route.mode]
    found = []

    def can(what: str, needed: tuple[tuple[str, Ability], ...], otherwise: str) -> None:
        lacking = [f"{who}: no {each.value}" for who, each in needed if not able.get((who, each))]
        why = f"{', '.join(lacking)}; {otherwise}" if lacking else ""
        found.append(Prospect(name, what, not lacking, why))

    if route.mode is Mode.CASCADE:
        can(
            "a gate by margin",
            ((student, Ability.DEPTH),),
            "mean and minimum probability need none",
        )
        reading = (
            *((who, Ability.TOKEN_IDS) for who in asked),
            (student, Ability.SAME_TOKENS),
            (teacher, Ability.PROMPT_LOGPROBS),
        )
        can("deferrals and shadows that are read, takeovers", reading, "the teacher writes anew")
    if route.mode is Mode.SPECULATIVE:
        can(
            "acceptance of drafts",
            ((teacher, Ability.DRAFTS),),
            "it answers all the same (vLLM: --speculative-config, --enable-per-request-metrics)",
        )
    tools = tuple((who, Ability.TOOL_CALL) for who in asked)
    can("tools", tools, "requests with tools fail there or are answered in words")
    schemas = tuple((who, Ability.SCHEMA) for who in asked)
    can("answers by a schema", schemas, "`checks` can send what breaks it to the teacher")
    leaving = tuple((who, Ability.HANG_UP) for who in asked)
    can("freed by a hang-up", leaving, "what nobody reads may be written to its end")
    return tuple(found)
