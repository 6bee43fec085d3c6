"""The flags of `vllm serve`, as its own parser has them. Runs in the vLLM environment alone.

    .venv-vllm/bin/python tests/vllm/dump_flags.py > serving/vllm_flags.json

Beside them the names that a parser takes as any text and the engine then looks up.
"""

import argparse
import json
import sys
from importlib.metadata import version
from typing import Any

from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS
from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser

JSON = {"loads", "_parse_type", "parse_dataclass", "union_dict_and_str"}
SIZE = {"human_readable_int", "human_readable_int_or_auto"}


def main() -> None:
    parser = make_arg_parser(FlexibleArgumentParser())
    told = {
        "version": version("vllm").partition("+")[0],
        "flags": dict(sorted(flag(action) for action in parser._actions if action.option_strings)),
        "names": {
            "--quantization": sorted(QUANTIZATION_METHODS),
            "--reasoning-parser": sorted(ReasoningParserManager.list_registered()),
            "--tool-call-parser": sorted(ToolParserManager.list_registered()),
        },
    }
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")


def flag(action: argparse.Action) -> tuple[str, dict[str, Any]]:
    first, *others = action.option_strings
    if first == "-h":
        first, others = "--help", ["-h"]
    described: dict[str, Any] = {"kind": kind(action)}
    if others:
        described["also"] = others
    if action.nargs in {"+", "*"}:
        described["many"] = True
    if action.nargs == "?":
        described["bare"] = True
    if action.choices is not None:
        described["choices"] = [str(choice) for choice in action.choices]
    return first, described


def kind(action: argparse.Action) -> str:
    """`switch`, or what its value is: `int`, `float`, `size` (4k), `json`, `text`."""
    if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
        return "switch"
    name = type_name(action.type)
    if name in {"int", "float"}:
        return name
    if name in SIZE:
        return "size"
    return "json" if name in JSON else "text"


def type_name(reader: Any) -> str:
    """Of an optional value: what it is when there is one."""
    name = getattr(reader, "__name__", "str")
    if name == "_optional_type":
        inside = [cell.cell_contents for cell in reader.__closure__ or ()]
        return next((type_name(each) for each in inside if callable(each)), "str")
    return str(name)


if __name__ == "__main__":
    main()
