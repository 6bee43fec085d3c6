"""What a request allows its answer to be: its schema, its tools, its length, for the checks.

A field of a shape that we do not know sets no bounds: the engine is the one to refuse it.
"""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from gateway.schemas import Schemas
from router.checks import Calls, Expected, Validator, json_object

Fields = Mapping[str, msgspec.Raw]
T = TypeVar("T")


def expected_of_chat(fields: Fields, schemas: Schemas) -> Expected:
    wanted = _read(fields, "response_format", _CHAT_FORMAT) or _ChatFormat()
    named = wanted.json_schema or _Named()
    tools = [tool.function for tool in _read(fields, "tools", _CHAT_TOOLS) or () if tool.function]
    limit = _read(fields, "max_completion_tokens", _INT) or _read(fields, "max_tokens", _INT)
    return _expected(wanted.type, named.schema, tools, limit, fields=fields, schemas=schemas)


def expected_of_response(fields: Fields, schemas: Schemas) -> Expected:
    text = _read(fields, "text", _TEXT) or _Text()
    wanted = text.format or _Format()
    tools = [tool for tool in _read(fields, "tools", _TOOLS) or () if tool.type == "function"]
    limit = _read(fields, "max_output_tokens", _INT)
    return _expected(wanted.type, wanted.schema, tools, limit, fields=fields, schemas=schemas)


class _Named(msgspec.Struct):
    schema: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _ChatFormat(msgspec.Struct):
    type: str = "text"
    json_schema: _Named | None = None


class _Format(msgspec.Struct):
    type: str = "text"
    schema: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Text(msgspec.Struct):
    format: _Format | None = None


class _Tool(msgspec.Struct):
    name: str = ""
    type: str = "function"
    parameters: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _ChatTool(msgspec.Struct):
    function: _Tool | None = None


class _Choice(msgspec.Struct):
    """A `tool_choice` that names one tool, in chat's form or in that of responses."""

    function: _Tool | None = None
    name: str | None = None

    @property
    def chosen(self) -> str | None:
        return self.function.name if self.function is not None else self.name


def _expected(
    kind: str,
    schema: msgspec.Raw | msgspec.UnsetType,
    tools: list[_Tool],
    limit: int | None,
    *,
    fields: Fields,
    schemas: Schemas,
) -> Expected:
    choice = _read(fields, "tool_choice", _CHOICE)
    chosen = choice.chosen if isinstance(choice, _Choice) else None
    offered = {tool.name: tool for tool in tools if chosen in {None, tool.name}}
    parallel = _read(fields, "parallel_tool_calls", _BOOL)
    return Expected(
        json=_document(kind, schema, schemas),
        tools={name: _arguments(tool.parameters, schemas) for name, tool in offered.items()},
        calls=Calls.MUST if chosen else _CALLS.get(str(choice), Calls.MAY),
        parallel_calls=parallel is not False,
        max_tokens=limit,
    )


_CALLS = {"auto": Calls.MAY, "none": Calls.MUST_NOT, "required": Calls.MUST}


def _document(
    kind: str, schema: msgspec.Raw | msgspec.UnsetType, schemas: Schemas
) -> Validator | None:
    """What holds the whole text; a schema that cannot be used still asks for JSON."""
    match kind:
        case "json_object":
            return json_object
        case "json_schema":
            return _validator(schema, schemas) or _anything
        case _:
            return None


def _arguments(schema: msgspec.Raw | msgspec.UnsetType, schemas: Schemas) -> Validator:
    return _validator(schema, schemas) or json_object


def _validator(schema: msgspec.Raw | msgspec.UnsetType, schemas: Schemas) -> Validator | None:
    return schemas.validator(bytes(schema)) if isinstance(schema, msgspec.Raw) else None


def _anything(_: object) -> None:
    """Any JSON value."""


def _read(fields: Fields, name: str, decoder: "msgspec.json.Decoder[T | None]") -> T | None:
    if (raw := fields.get(name)) is None:
        return None
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


_INT = msgspec.json.Decoder(int | None)
_BOOL = msgspec.json.Decoder(bool | None)
_CHAT_FORMAT = msgspec.json.Decoder(_ChatFormat | None)
_TEXT = msgspec.json.Decoder(_Text | None)
_CHAT_TOOLS = msgspec.json.Decoder(list[_ChatTool] | None)
_TOOLS = msgspec.json.Decoder(list[_Tool] | None)
_CHOICE = msgspec.json.Decoder(_Choice | str | None)
