"""JSON schemas that clients send: compiled once, kept by their bytes, as validators.

A schema is untrusted. One that cannot be compiled, that points outside itself or whose `$ref`s
multiply past measure gives no validator: what it would check passes, and that is counted.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import jsonschema_rs
import msgspec

from router.checks import Validator

_log = logging.getLogger(__name__)

_KEPT = 256
_LONGEST_BYTES = 256 * 1024
_MOST_NODES = 5_000
"""Objects in a schema with every `$ref` written out: it bounds how long a validation takes."""
_MOST_STEPS = 100_000
_PATTERNS = jsonschema_rs.FancyRegexOptions(
    backtrack_limit=10_000, size_limit=1 << 20, dfa_size_limit=1 << 20
)
_DRAFTS = ("draft-06/", "draft-07/", "draft/2019-09/", "draft/2020-12/")
_DEFINITIONS = {"$defs", "definitions"}
_INDIRECT = {"$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"}
"""Keywords that make a reference mean something other than a path in the same document."""


class UnusableSchemaError(ValueError):
    """A schema that no answer can be held to; the message says why, without its content."""


class Schemas:
    """A bounded cache of validators, the least recently used one dropped first.

    on_unusable: called once for each schema that is met and cannot be used.
    """

    def __init__(self, on_unusable: Callable[[], None], *, kept: int = _KEPT) -> None:
        self._on_unusable = on_unusable
        self._kept = kept
        self._found: OrderedDict[bytes, Validator | None] = OrderedDict()

    def validator(self, schema: bytes) -> Validator | None:
        """What holds a value to this JSON schema; None if the schema is unusable."""
        try:
            self._found.move_to_end(schema)
        except KeyError:
            self._found[schema] = self._compiled(schema)
            if len(self._found) > self._kept:
                self._found.popitem(last=False)
        return self._found[schema]

    def _compiled(self, schema: bytes) -> Validator | None:
        try:
            return compiled(schema)
        except UnusableSchemaError as error:
            _log.info("a client's JSON schema is not used: %s", error)
            self._on_unusable()
            return None


def compiled(schema: bytes) -> Validator:
    """Raises UnusableSchemaError. Nothing is fetched: a reference stays inside the schema."""
    if len(schema) > _LONGEST_BYTES:
        raise UnusableSchemaError(f"{len(schema)} bytes are more than {_LONGEST_BYTES}")
    try:
        document = msgspec.json.decode(schema)
        _refuse_the_strange(document)
        validator = jsonschema_rs.validator_for(
            document, offline=True, pattern_options=_PATTERNS, validate_formats=False
        )
    except jsonschema_rs.ValidationError as error:
        where = "/".join(str(part) for part in error.instance_path)
        raise UnusableSchemaError(f"it is no JSON schema, at /{where[:100]}") from error
    except UnusableSchemaError:
        raise
    except (ValueError, RecursionError) as error:  # DecodeError is a ValueError
        raise UnusableSchemaError("it is not JSON, or nested too deep") from error

    def fault(value: object) -> str | None:
        try:  # is_valid remembers what it has seen of a recursive schema; validate does not
            return None if validator.is_valid(value) else "does not match the schema"
        except ValueError:
            return "is nested too deep, or holds half a surrogate pair"

    return fault


def _refuse_the_strange(document: object) -> None:
    """References that leave the document, and those that multiply: 2 in each of 30 definitions
    are 2^30 steps of a validator.
    """
    if not isinstance(document, dict):
        return
    draft = document.get("$schema")
    if draft is not None and not any(known in str(draft) for known in _DRAFTS):
        raise UnusableSchemaError(f"$schema = {str(draft)[:100]!r} is not a draft we know")
    expansion = _Expansion({key: value for key, value in document.items() if key != "$id"})
    expansion.refuse_indirection()
    expansion.refuse_excess()


class _Expansion:
    """The size of a schema with every reference written out, a recursive one once.

    Definitions count where they are referred to.
    """

    def __init__(self, root: dict[str, object]) -> None:
        self._root = root
        self._applied = {name: part for name, part in root.items() if name not in _DEFINITIONS}
        self._sizes: dict[str, int] = {}
        self._steps = 0

    def refuse_indirection(self) -> None:
        for part in self._parts(self._root):
            if unknown := _INDIRECT & part.keys():
                raise UnusableSchemaError(f"{min(unknown)} is not supported")

    def refuse_excess(self) -> None:
        self._size_of("#")

    def _size_of(self, pointer: str) -> int:
        """Remembered; while it is being counted, a reference back to it counts as 1."""
        if pointer not in self._sizes:
            self._sizes[pointer] = 1
            self._sizes[pointer] = self._count(self._target(pointer))
        return self._sizes[pointer]

    def _count(self, target: object) -> int:
        size = 0
        for part in self._parts(self._applied if target is self._root else target):
            size += 1
            if isinstance(pointer := part.get("$ref"), str):
                size += self._size_of(pointer)
            if size > _MOST_NODES:
                raise UnusableSchemaError(
                    f"it is larger than {_MOST_NODES} objects with its references written out"
                )
        return size

    def _parts(self, target: object) -> Iterator[dict[str, object]]:
        """Every object in it, itself included."""
        todo = [target]
        while todo:
            value = todo.pop()
            if isinstance(value, list):
                todo += value
            elif isinstance(value, dict):
                todo += value.values()
                yield value
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise UnusableSchemaError(f"it takes more than {_MOST_STEPS} steps to read")

    def _target(self, pointer: str) -> object:
        target: object = self._root
        if pointer == "#":
            return target
        if not pointer.startswith("#/"):
            raise UnusableSchemaError("a $ref leaves the schema; only '#/...' is followed")
        for part in unquote(pointer[2:]).split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            match target:
                case dict() if key in target:
                    target = target[key]
                case list() if key.isdecimal() and int(key) < len(target):
                    target = target[int(key)]
                case _:
                    raise UnusableSchemaError("a $ref points to nothing")
        return target
