"""The subcommands of this package: `tutelage up` and `tutelage engines`."""

import argparse
from collections.abc import Callable
from pathlib import Path

Runner = Callable[[argparse.Namespace], int]


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


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:  # noqa: PLR2004 (TCP's range)
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def _size(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of requests; see --no-tour")
    return int(text)
