"""The flags that `vllm serve` knows, recorded from the parser of the version we are tested with.

`vllm_flags.json` is written by `tests/vllm/dump_flags.py`; `make test-vllm` compares it with the
real parser.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

RECORDED = Path(__file__).with_name("vllm_flags.json")

_SIZE = re.compile(r"-1|auto|\d+(\.\d+)?[kKmMgGtT]?")
_TELLING_CHOICES = 12


class UnknownToVllm(ValueError):
    """A flag, or a value of one, that this vLLM would not take; the text says what it would."""


class Flag(BaseModel):
    """One flag, as argparse has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["switch", "int", "float", "size", "json", "text"]
    also: tuple[str, ...] = ()
    """Other spellings; of a switch, the one that turns it off."""
    many: bool = False
    """Takes several values."""
    bare: bool = False
    """May stand without its value."""
    choices: tuple[str, ...] = ()


class Flags(BaseModel):
    """All of them, of one version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    flags: Mapping[str, Flag]
    names: Mapping[str, tuple[str, ...]]
    """What a flag takes as any text and the engine then looks up in a list of its own."""

    def must_know(self, argv: Sequence[str], *, set_by: Mapping[str, str] | None = None) -> None:
        """Checks a command line after `vllm serve MODEL`.

        `set_by` names flags that something else sets, and what. Raises `UnknownToVllm`.
        """
        words = list(argv)
        while words:
            word = words.pop(0)
            spelt, equals, value = word.partition("=")
            name = self._name(spelt)
            if set_by and name in set_by:
                raise UnknownToVllm(f"{spelt} is set by the key {set_by[name]}; use that")
            values = [value] if equals else []
            if not equals and self.flags[name].kind != "switch":
                while words and not _is_flag(words[0]) and (self.flags[name].many or not values):
                    values.append(words.pop(0))
            self._must_take(name, values)

    def must_have_name(self, flag: str, name: str, *, key: str) -> None:
        """Raises `UnknownToVllm` for a name that the engine would not find."""
        known = self.names[flag]
        if name not in known:
            raise UnknownToVllm(
                f"{key} = {name!r}: vLLM {self.version} has none of that name"
                f"{_nearest(name, known) or f'; it has {_listed(known)}'}"
            )

    def _name(self, spelt: str) -> str:
        """The flag's first spelling; `--json-flag.key` is a part of `--json-flag`."""
        if spelt in self.flags:
            return spelt
        for name, flag in self.flags.items():
            whole = spelt.partition(".")[0] if flag.kind == "json" else spelt
            if whole == name or whole in flag.also:
                return name
        if not spelt.startswith("-"):
            raise UnknownToVllm(f"{spelt!r} stands where a flag of `vllm serve` should")
        raise UnknownToVllm(
            f"{spelt}: `vllm serve` {self.version} has no such flag"
            f"{_nearest(spelt.replace('_', '-'), tuple(self.flags))}"
        )

    def _must_take(self, name: str, values: Sequence[str]) -> None:
        flag = self.flags[name]
        if flag.kind == "switch":
            if values:
                raise UnknownToVllm(f"{name} takes no value, and got {values[0]!r}")
            return
        if not values and not flag.bare:
            raise UnknownToVllm(f"{name} needs a value ({flag.kind})")
        for value in values:
            if flag.choices and value not in flag.choices:
                raise UnknownToVllm(f"{name}: {value!r} is not among {_listed(flag.choices)}")
            if not _reads_as(flag.kind, value):
                raise UnknownToVllm(f"{name}: {value!r} is no {flag.kind}")


def _reads_as(kind: str, value: str) -> bool:
    try:
        match kind:
            case "int":
                int(value)
            case "float":
                float(value)
            case "json":
                # `{…}` or a plain word, which some of them take for one of their parts.
                json.loads(value) if value.startswith(("{", "[")) else None
            case "size":
                return _SIZE.fullmatch(value) is not None
    except ValueError:
        return False
    return True


def _is_flag(word: str) -> bool:
    return word.startswith("-") and not re.fullmatch(r"-\d+(\.\d+)?", word)


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_TELLING_CHOICES])
    return shown if len(names) <= _TELLING_CHOICES else f"{shown} and {len(names) - 12} more"


FLAGS = Flags.model_validate_json(RECORDED.read_bytes())
"""Read once: a file of this package, not of the user."""
