"""What each rule removed: no row goes without being counted."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from distill.rows import Row


class Rule(msgspec.Struct, frozen=True):
    """rows: what came to it."""

    name: str
    rows: int
    removed: int

    @property
    def share(self) -> float:
        return self.removed / self.rows if self.rows else 0.0


@dataclass
class Funnel:
    """The rules of one step, in their order."""

    rules: list[Rule] = field(default_factory=list)

    def keep(self, name: str, rows: Sequence[Row], fits: Callable[[Row], bool]) -> list[Row]:
        """Those that fit, counted."""
        return self.narrow(name, rows, [row for row in rows if fits(row)])

    def count(self, name: str, rows: int, removed: int) -> None:
        """For what is counted before it is a row."""
        self.rules.append(Rule(name, rows, removed))

    def narrow(self, name: str, before: Sequence[Row], kept: Iterable[Row]) -> list[Row]:
        """Counts what is gone between the two."""
        left = list(kept)
        self.count(name, len(before), len(before) - len(left))
        return left

    def share(self, *names: str) -> float:
        """Of the rows that came to the first of these rules, what all of them removed."""
        mine = [rule for rule in self.rules if rule.name in names]
        return sum(rule.removed for rule in mine) / mine[0].rows if mine and mine[0].rows else 0.0

    def save(self, path: Path) -> None:
        """Raises OSError."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self.rules), indent=1))


def read_funnel(path: Path) -> list[Rule]:
    """What `Funnel.save` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=list[Rule])
