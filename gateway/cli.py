"""The gateway's subcommands. Imports wait for the command that needs them."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

Runner = Callable[[argparse.Namespace], int]

_DEFAULT_URL = "http://127.0.0.1:8080/v1"


def gateway(parser: argparse.ArgumentParser) -> Runner:
    """Run the gateway alone, in front of engines that run elsewhere."""
    _add_config(parser)
    parser.add_argument("--host", help="instead of server.host")
    parser.add_argument("--port", type=int, help="instead of server.port; 0 picks a free one")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes, instead of server.workers"
    )
    parser.add_argument("--check", action="store_true", help="validate the config and exit")

    def run(arguments: argparse.Namespace) -> int:
        from gateway import config
        from gateway.listening import listen_together
        from gateway.location import default_keys, default_store, store_path
        from gateway.logs import write_as
        from gateway.server import CANNOT_START, STOPS
        from gateway.server import run as serve

        try:
            settings = config.load(arguments.config)
            settings = config.override(
                settings, host=arguments.host, port=arguments.port, workers=arguments.workers
            )
            config.secrets(settings)
            write_as(settings.server.log)
            if arguments.check:
                routes = ", ".join(settings.routes)
                print(f"{arguments.config}: good: routes {routes}")
                return 0
            listeners = listen_together(settings.server, settings.server.workers)
            host, port = listeners[0].getsockname()[:2]
            # Who reads the URL may stop us at once: that waits until somebody listens for it.
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
            print(f"tutelage gateway on http://{host}:{port}/v1", flush=True)
            store = settings.traces.store or default_store(os.environ)
            keys = store_path(settings.server.keys or default_keys(os.environ))
            return serve(settings, listeners, store=store, keys=keys)
        except CANNOT_START as error:
            print(error, file=sys.stderr)
            return 2

    return run


def doctor(parser: argparse.ArgumentParser) -> Runner:
    """Probe every upstream: what it can do, and what that allows and forbids on each route."""
    _add_config(parser)
    parser.add_argument("--json", action="store_true", help="for machines")

    def run(arguments: argparse.Namespace) -> int:
        from gateway import config
        from gateway.deep_doctor import look_deeper
        from gateway.doctor import answering, examine, report

        try:
            settings = config.load(arguments.config)
            secrets = config.secrets(settings)
        except config.ConfigError as error:
            print(error, file=sys.stderr)
            return 2
        findings = examine(settings, secrets)
        depth = look_deeper(settings, secrets, answering(findings))
        return report(findings, depth, settings, as_json=arguments.json)

    return run


def keys(parser: argparse.ArgumentParser) -> Runner:
    """Make, list and revoke the API keys of a gateway with server.auth = "keys"."""
    parser.add_argument("--config", type=Path, help="the gateway's TOML file: where its keys are")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key; its secret is shown this once")
    create.add_argument("name", help="the `caller` in the traces; keys of one name are one caller")
    actions.add_parser("ls", help="every key, without its secret")
    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id", help="the part between the dashes, see ls")

    def run(arguments: argparse.Namespace) -> int:
        from gateway.keys_command import run as act

        return act(arguments)

    return run


def ask(parser: argparse.ArgumentParser) -> Runner:
    """Ask one question through the gateway, streamed; then who answered, and why."""
    parser.add_argument("question", nargs="?", help="read from standard input when left out")
    parser.add_argument(
        "--model", help="a route, or a pin such as triage:teacher; default: the first"
    )
    parser.add_argument("--system", help="a system message to go before it")
    _add_url(parser)

    def run(arguments: argparse.Namespace) -> int:
        from gateway.ask import ask as put

        question = arguments.question or sys.stdin.read().strip()
        if not question:
            print("there is no question: give one, or pipe it in", file=sys.stderr)
            return 2
        return put(question, url=arguments.url, model=arguments.model, system=arguments.system)

    return run


def traces(parser: argparse.ArgumentParser) -> Runner:
    """Read the traces, take them out, bring others in: ls, show, stats, export, import."""
    from gateway.traces.commands import traces as configure

    return configure(parser)


def tune(parser: argparse.ArgumentParser) -> Runner:
    """Find a route's threshold from its judged traces, with a promise; or replay some."""
    from gateway.tuning.commands import tune as configure

    return configure(parser)


def top(parser: argparse.ArgumentParser) -> Runner:
    """The live picture of a running gateway: rate, coverage, latency, reasons, engines."""
    from gateway.top.commands import top as configure

    _add_url(parser)
    return configure(parser)


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        default=os.environ.get("TUTELAGE_URL", _DEFAULT_URL),
        help=f"the gateway (TUTELAGE_URL; default {_DEFAULT_URL})",
    )


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(os.environ.get("TUTELAGE_CONFIG", "tutelage.toml")),
        help="the TOML file (TUTELAGE_CONFIG; default ./tutelage.toml)",
    )
