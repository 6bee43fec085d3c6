"""What a request allows its answer to be, for the checks: read from the fields of any endpoint.

Chat completions, completions and responses name the same wishes differently, and no name means
two things, so one reading serves all three. A wish that is malformed sets no bounds: the engine
refuses it or passes over it, and in neither case is an answer at fault.
"""

from typing import TypeVar

import msgspec

from gateway.schemas import Schemas
from gateway.wire import NULL, Fields, is_there
from router.checks import ANYTHING, Calls, Expected, Validator, json_object

T = TypeVar("T")


def read_expected(fields: Fields, schemas: Schemas) -> Expected:
    """Never fails: bytes of a client."""
    if _READ.isdisjoint(fields):
        return ANYTHING
    tools = _tools(fields, schemas)
    calls, names = _choice(fields)
    if names is not None:
        tools = {name: validator for name, validator in tools.items() if name in names}
    return Expected(
        json=_json(fields, schemas),
        tools=tools,
        calls=calls,
        parallel_calls=_read(fields, "parallel_tool_calls", _BOOL) is not False,
        max_tokens=_max_tokens(fields),
    )


def may_call(fields: Fields) -> bool:
    """Whether an answer may call a tool: what the gate must know, schemas apart."""
    offered = fields.get("tools", fields.get("functions", NULL))
    return (
        is_there(offered) and bytes(offered) != b"[]" and _choice(fields)[0] is not Calls.MUST_NOT
    )


class _Schema(msgspec.Struct):
    """`json_schema` in chat, `format` in responses; some engines put `schema` beside the type."""

    type: str = ""
    schema: msgspec.Raw = NULL
    json_schema: "_Schema | None" = None


class _Text(msgspec.Struct):
    format: _Schema | None = None


class _Structured(msgspec.Struct):
    """vLLM's own way to ask for JSON."""

    json: msgspec.Raw = NULL
    json_object: bool | None = None


class _Function(msgspec.Struct):
    name: str = ""
    parameters: msgspec.Raw = NULL


class _Tool(msgspec.Struct):
    """Chat nests the function, responses do not; a `custom` tool takes free text."""

    type: str = "function"
    name: str = ""
    parameters: msgspec.Raw = NULL
    function: _Function | None = None
    custom: _Function | None = None

    @property
    def shape(self) -> _Function:
        return self.function or self.custom or _Function(self.name, self.parameters)


class _Allowed(msgspec.Struct):
    mode: str = "auto"
    tools: list[_Tool] = []


class _Choice(msgspec.Struct):
    """A `tool_choice` that names tools."""

    type: str = "function"
    name: str = ""
    function: _Function | None = None
    custom: _Function | None = None
    allowed_tools: _Allowed | None = None
    mode: str = "auto"
    tools: list[_Tool] = []


def _json(fields: Fields, schemas: Schemas) -> Validator | None:
    wish = _read(fields, "response_format", _SCHEMA)
    if wish is None and (text := _read(fields, "text", _TEXT)) is not None:
        wish = text.format
    if wish is not None and wish.type in {"json_schema", "json_object"}:
        inner = wish.json_schema or wish
        if is_there(inner.schema):
            return schemas.validator(bytes(inner.schema))
        return json_object if wish.type == "json_object" else None
    structured = _read(fields, "structured_outputs", _STRUCTURED)
    if structured is not None and is_there(structured.json):
        return schemas.validator(bytes(structured.json))
    return json_object if structured is not None and structured.json_object else None


def _tools(fields: Fields, schemas: Schemas) -> dict[str, Validator]:
    """By name; hosted tools (web search and the like) have none and are not ours to check."""
    shapes = [tool.shape for tool in _read(fields, "tools", _TOOLS) or ()]
    shapes += _read(fields, "functions", _FUNCTIONS) or ()
    return {shape.name: _arguments(shape, schemas) for shape in shapes if shape.name}


def _arguments(shape: _Function, schemas: Schemas) -> Validator:
    """Of a schema that is unusable this much remains: arguments are an object."""
    if not is_there(shape.parameters):
        return json_object
    return schemas.validator(bytes(shape.parameters)) or json_object


def _choice(fields: Fields) -> tuple[Calls, set[str] | None]:
    """Whether a tool must be called, and which may be; None: any of them."""
    raw = fields.get("tool_choice", fields.get("function_call", NULL))
    try:
        choice = _CHOICE.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return Calls.MAY, None
    match choice:
        case None | str():
            return _MODES.get(choice or "auto", Calls.MAY), None
        case _Choice(type="allowed_tools"):
            allowed = choice.allowed_tools or _Allowed(choice.mode, choice.tools)
            return _MODES.get(allowed.mode, Calls.MAY), {each.shape.name for each in allowed.tools}
    named = choice.function or choice.custom or _Function(choice.name)
    return (Calls.MUST, {named.name}) if named.name else (Calls.MAY, None)


def _max_tokens(fields: Fields) -> int | None:
    """The tightest of the limits that the client set; the older endpoint has one of its own."""
    limits = [_read(fields, name, _INT) for name in _LIMITS]
    is_text = bytes(fields.get("prompt", NULL))[:1] in _TEXT_PROMPTS
    default = _TEXT_LIMIT if is_text else None
    return min((limit for limit in limits if limit is not None), default=default)


def _read(fields: Fields, name: str, decoder: "msgspec.json.Decoder[T | None]") -> T | None:
    if (raw := fields.get(name)) is None:
        return None
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


_MODES = {"auto": Calls.MAY, "none": Calls.MUST_NOT, "required": Calls.MUST}
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_TEXT_LIMIT = 16
"""Tokens of a text completion whose request sets no limit, by OpenAI's and vLLM's definition."""
_TEXT_PROMPTS = (b'"', b"[")
"""How a prompt of the older endpoint begins; in responses, a `prompt` is an object."""
_READ = {
    *("prompt", "response_format", "text", "structured_outputs", *_LIMITS),
    *("tools", "functions", "tool_choice", "function_call", "parallel_tool_calls"),
}
_BOOL = msgspec.json.Decoder(bool | None)
_INT = msgspec.json.Decoder(int | None)
_SCHEMA = msgspec.json.Decoder(_Schema | None)
_TEXT = msgspec.json.Decoder(_Text | None)
_STRUCTURED = msgspec.json.Decoder(_Structured | None)
_TOOLS = msgspec.json.Decoder(list[_Tool] | None)
_FUNCTIONS = msgspec.json.Decoder(list[_Function] | None)
_CHOICE = msgspec.json.Decoder(_Choice | str | None)
