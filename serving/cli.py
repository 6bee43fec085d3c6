"""The subcommands of this package: `tutelage up` and `tutelage engines`."""

import argparse
from collections.abc import Callable
from pathlib import Path

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


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:  # noqa: PLR2004 (TCP's range)
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def _size(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of requests; see --no-tour")
    return int(text)
