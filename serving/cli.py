"""The subcommands of this package: `tutelage up` and `tutelage engines`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.quantize import QuantizeWishes

Runner = Callable[[argparse.Namespace], int]

_PIPE_WIDTH = 160


def up(parser: argparse.ArgumentParser) -> Runner:
    """Engines and gateway on this machine, with a tour; serves until Ctrl-C."""
    parser.add_argument(
        "--config", type=Path, metavar="F", help="your own TOML; without it the embedded default"
    )
    parser.add_argument("--port", type=_port, help="of the embedded default (8080)")
    parser.add_argument("--no-tour", action="store_true", help="start serving at once")
    parser.add_argument(
        "--tour-size", type=_size, default=36, metavar="N", help="held-out requests (36)"
    )

    def run(asked: argparse.Namespace) -> int:
        import os

        from rich.console import Console

        from serving.up import Wishes
        from serving.up import run as run_up

        wishes = Wishes(
            config=asked.config,
            port=asked.port,
            tour_size=0 if asked.no_tour else asked.tour_size,
        )
        return run_up(wishes, env=os.environ, console=Console(highlight=False))

    return run


def engines(parser: argparse.ArgumentParser) -> Runner:
    """The engines that run on this machine."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    up = actions.add_parser("up", help="start those of a config file, without a gateway")
    up.add_argument("--config", type=Path, metavar="F", required=True)
    up.add_argument("only", nargs="*", metavar="NAME", help="as in [engines.NAME] (default: all)")
    _quantize(actions)
    _bench(actions)
    ls = actions.add_parser("ls", help="state, pid, port, memory, tokens/s, uptime, log")
    ls.add_argument(
        "--config", type=Path, metavar="F", help="also look at its upstreams that run elsewhere"
    )

    def run(asked: argparse.Namespace) -> int:
        import os

        from rich.console import Console

        console = Console(highlight=False)
        if asked.action == "up":
            from serving.engines_up import run as run_up

            return run_up(asked.config, asked.only, env=os.environ, console=console)
        if asked.action == "bench":
            from serving.bench import BenchWishes
            from serving.bench import run as run_bench

            wanted = {name: getattr(asked, name) for name in BenchWishes.__slots__}
            return run_bench(
                BenchWishes(**wanted), env=os.environ, console=console, as_json=asked.json
            )
        if asked.action == "quantize":
            from serving.quantize import run as run_quantize

            return run_quantize(_wishes(asked), env=os.environ, console=console, as_json=asked.json)
        from serving.engines_ls import run as run_ls

        return run_ls(asked.config, env=os.environ, console=console)

    return run


def releases(parser: argparse.ArgumentParser) -> Runner:
    """Students that can be put in service and taken out again: add, ls, show, promote, rollback."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_release(actions.add_parser("add", help="make a release of a student; prints its id"))
    actions.add_parser("ls", help="every release, whom it serves and where it runs")
    show = actions.add_parser("show", help="one release; every byte of it is verified")
    show.add_argument("release", metavar="RELEASE", help="its id, or how that begins")
    show.add_argument("--json", action="store_true", help="its manifest")
    promote = actions.add_parser(
        "promote", help="give a release a route, or a share of it; who served before is kept"
    )
    promote.add_argument("route", metavar="ROUTE")
    promote.add_argument(
        "release", metavar="RELEASE", nargs="?", help="default: the candidate that there is"
    )
    promote.add_argument(
        "--share", type=_share, metavar="S", help="a canary: so much of the route (default: all)"
    )
    promote.add_argument(
        "--keep",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="how long the engine before goes on running, for a rollback at once (600)",
    )
    rollback = actions.add_parser(
        "rollback", help="take the candidate away, or go back to the release before"
    )
    rollback.add_argument("route", metavar="ROUTE")
    for changing in (promote, rollback):
        changing.add_argument("--why", required=True, metavar="WHY", help="kept with the change")
        changing.add_argument(
            "--wait",
            type=_seconds,
            default=900.0,
            metavar="SECONDS",
            help="for the engine to be ready (900); 0 does not wait",
        )
    log = actions.add_parser("log", help="who changed what, when and why")
    log.add_argument("route", metavar="ROUTE", nargs="?")
    for each in actions.choices.values():
        each.add_argument(
            "--config", type=Path, metavar="F", help="the gateway's TOML, if it has a server.state"
        )

    def run(asked: argparse.Namespace) -> int:
        import os
        import sys

        from rich.console import Console

        from serving.release_command import run as run_releases

        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        console = Console(highlight=False, width=width)
        return run_releases(asked, env=os.environ, console=console)

    return run


def _add_release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "weights", type=Path, metavar="WEIGHTS", help="a .gguf file, or a folder with config.json"
    )
    parser.add_argument("--name", required=True, metavar="N", help="what its id begins with")
    parser.add_argument("--adapter", type=Path, metavar="LORA", help="a LoRA over the weights")
    parser.add_argument("--quantization", metavar="Q", help="how the weights were made smaller")
    gate = parser.add_argument_group("the gate that was chosen on this student")
    gate.add_argument("--threshold", type=float, metavar="T")
    gate.add_argument("--signal", metavar="NAME", help="as in gate.signal (mean_probability)")
    gate.add_argument("--label", metavar="FIELD", help="as the route's label")
    gate.add_argument("--window", type=int, default=24, metavar="N", help="gate.window_tokens (24)")
    gate.add_argument("--calibration", type=Path, metavar="F", help="its calibration, JSON")
    parser.add_argument("--provenance", type=Path, metavar="F", help="where it comes from, JSON")
    parser.add_argument(
        "--link", action="store_true", help="hard links in place of copies of the weights"
    )


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share; write a number as 0.05")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if value < 0.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def _quantize(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from serving.quantize_methods import METHODS

    methods = "; ".join(f"{method.name}: {method.what}" for method in METHODS.values())
    parser = actions.add_parser(
        "quantize",
        help="make weights smaller, and see what that does to them",
        description=f"Weights, smaller, with a manifest and a fidelity report. {methods}.",
    )
    add = parser.add_argument
    add("source", type=Path, metavar="SOURCE", help="a folder with config.json and safetensors")
    add("--method", choices=METHODS, required=True)
    add("--to", type=Path, metavar="FOLDER", required=True, help="a new folder")
    add("--texts", type=Path, metavar="F", help="JSONL of chats, texts or traces")
    add("--samples", type=_count, default=128, help="texts to calibrate on, at most (128)")
    add("--held-out", type=_count, default=32, help="other texts of it, to judge by (32)")
    add("--max-tokens", type=_count, default=512, help="of a text; the rest is cut off (512)")
    add(
        "--group-size",
        type=_count,
        help="weights to a scale (the largest that fits of 128, 64, 32)",
    )
    measuring = parser.add_argument_group("the fidelity report")
    measuring.add_argument(
        "--vllm", default="vllm", metavar="PROGRAM", help="serves both for it (vllm, on PATH)"
    )
    measuring.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="(gpu)")
    measuring.add_argument(
        "--answer-tokens", type=_count, default=32, help="of each greedy answer, at most (32)"
    )
    measuring.add_argument(
        "--in-turn", action="store_true", help="not both at once: needs less memory"
    )
    measuring.add_argument("--unmeasured", action="store_true", help="leave the report out")
    add("--json", action="store_true", help="print the manifest, and what happens to stderr")


def _bench(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "bench",
        help="student, teacher, teacher with the student as draft, verification: what pays here",
    )
    add = parser.add_argument
    add("--config", type=Path, metavar="F", required=True)
    add("--student", default="student", metavar="NAME", help="as in [engines.NAME] (student)")
    add("--teacher", default="teacher", metavar="NAME", help="as in [engines.NAME] (teacher)")
    add("--texts", type=Path, metavar="F", help="JSONL of questions (a few of its own)")
    add("--requests", type=_count, default=16, help="questions to each (16)")
    add("--answer-tokens", type=_count, default=64, help="of each answer, at most (64)")
    add("--drafted-tokens", type=_count, help="a step (as the teacher's speculate says; else 4)")
    add("--svg", type=Path, metavar="F", help="the table as a picture too")
    add("--json", action="store_true", help="print JSON, and what happens to stderr")


def _wishes(asked: argparse.Namespace) -> "QuantizeWishes":
    from serving.measured import Measuring
    from serving.quantize import QuantizeWishes

    return QuantizeWishes(
        source=asked.source,
        method=asked.method,
        to=asked.to,
        texts=asked.texts,
        samples=asked.samples,
        held_out=asked.held_out,
        max_tokens=asked.max_tokens,
        group_size=asked.group_size,
        measure=None
        if asked.unmeasured
        else Measuring(asked.vllm, asked.device, asked.answer_tokens, asked.in_turn),
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a count; write a whole number from 1 on")
    return int(text)


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:  # noqa: PLR2004 (TCP's range)
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def _size(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of requests; see --no-tour")
    return int(text)
