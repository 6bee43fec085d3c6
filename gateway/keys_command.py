"""`tutelage keys create|ls|revoke`."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gateway import config
from gateway.clock import SystemClock
from gateway.keys import Keyring, KeyringError
from gateway.location import UnknownStore, default_keys, store_path


def run(arguments: argparse.Namespace) -> int:
    out = Console()
    try:
        keyring = Keyring(_path(arguments.config))
        match arguments.action:
            case "create":
                out.print(keyring.create(arguments.name, SystemClock().unix_s()), soft_wrap=True)
            case "ls":
                keyring.make()
                out.print(_table(keyring))
            case "revoke":
                revoked = keyring.revoke(arguments.id, SystemClock().unix_s())
                out.print(f"revoked {revoked.id} ({revoked.name}); gateways know within 2 s")
    except (KeyringError, UnknownStore, config.ConfigError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _path(config_file: Path | None) -> Path:
    named = config.load(config_file).server.keys if config_file is not None else None
    return store_path(named or default_keys(os.environ))


def _table(keyring: Keyring) -> Table:
    table = Table("id", "name", "created", "state")
    for key in keyring.all():
        state = "works" if key.revoked_s is None else f"revoked {_when(key.revoked_s)}"
        table.add_row(key.id, key.name, _when(key.created_s), state)
    return table


def _when(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
