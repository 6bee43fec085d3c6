"""The `tutelage` command: finds its subcommands through the entry points `tutelage.commands`.

An entry point names a function that takes the subcommand's parser, adds arguments to it and
returns what runs it: `Callable[[argparse.Namespace], int]`. Its docstring's first line is the help.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points, version

GROUP = "tutelage.commands"

Runner = Callable[[argparse.Namespace], int]
Command = Callable[[argparse.ArgumentParser], Runner]


def main(arguments: Sequence[str] | None = None) -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    parser, runners = _parser()
    parsed = parser.parse_args(arguments)
    try:
        return runners[parsed.command](parsed)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `tutelage traces ls | head`
        sys.stderr.close()
        return 0


def _parser() -> tuple[argparse.ArgumentParser, dict[str, Runner]]:
    parser = argparse.ArgumentParser(
        prog="tutelage",
        description="A gateway that serves a small student where it can be trusted.",
    )
    parser.add_argument("--version", action="version", version=version("tutelage"))
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    runners: dict[str, Runner] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        command: Command = point.load()
        first_line = (command.__doc__ or "").strip().partition("\n")[0]
        runners[point.name] = command(
            commands.add_parser(point.name, help=first_line, description=command.__doc__)
        )
    return parser, runners


if __name__ == "__main__":
    sys.exit(main())
