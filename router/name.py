"""A name out of a fixed list."""

from enum import StrEnum


class Name(StrEnum):
    """Hashes as the string that it is, in C: `Enum` does so by a Python function, which every look
    into a dictionary would call.
    """

    __hash__ = str.__hash__
