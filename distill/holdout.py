"""The exam's texts: set apart before anything is harvested, and shut away from what trains.

Which traces are set apart is a hash of their text, so a text is on the same side in every round,
however often it comes. Curation must not see the exam either, and yet keep its words out: it gets
hashes of their n-grams.
"""

import hashlib
import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

NGRAM = 8
"""Words in a row that two texts do not share by chance."""
_SALT = "tutelage holdout"
_WORD = re.compile(r"\w+")


class SealedHoldout(Exception):
    """A step that trains has reached for the exam."""


def normalised(text: str) -> str:
    """Unicode NFKC, whitespace joined: what counts as the same text, but for case."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def words(text: str) -> list[str]:
    return _WORD.findall(normalised(text).casefold())


def is_set_apart(text: str, share: float) -> bool:
    """Whether a text belongs to the exam; the same in every round."""
    return _fraction(" ".join(words(text))) < share


def ngram_hashes(text: str) -> set[int]:
    """64 bits for each n-gram of words; for a shorter text, of the whole of it."""
    told = words(text)
    spans = (told[at : at + NGRAM] for at in range(max(1, len(told) - NGRAM + 1)))
    return {_hash(" ".join(span)) for span in spans if span}


def ngrams_of(texts: Iterable[str]) -> frozenset[int]:
    return frozenset().union(*(ngram_hashes(text) for text in texts))


def overlaps(text: str, held_out: frozenset[int]) -> bool:
    """Whether it shares eight words in a row with a held-out text, or is one that is shorter."""
    return not held_out.isdisjoint(ngram_hashes(text))


def save_ngrams(hashes: Iterable[int], path: Path) -> None:
    path.write_text(json.dumps(sorted(hashes)), encoding="utf-8")


def load_ngrams(path: Path) -> frozenset[int]:
    return frozenset(json.loads(path.read_bytes()))


@contextmanager
def sealed(folder: Path) -> Iterator[None]:
    """While this lasts no thread of this process opens a file below `folder`.

    An audit hook of the interpreter refuses it, whoever tries and by whatever library in Python
    (PEP 578). Raises SealedHoldout in the one that tries.
    """
    _watch()
    place = folder.resolve()
    _SEALED.append(place)
    try:
        yield
    finally:
        _SEALED.remove(place)


_SEALED: list[Path] = []
_WATCHING: list[bool] = []


def _watch() -> None:
    if not _WATCHING:
        sys.addaudithook(_refuse)
        _WATCHING.append(True)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if not _SEALED or event != "open" or not isinstance(arguments[0], str | bytes):
        return
    told = arguments[0]
    path = Path(told.decode(errors="replace") if isinstance(told, bytes) else told)
    place = path.resolve()
    for folder in _SEALED:
        if place.is_relative_to(folder):
            raise SealedHoldout(f"{path}: the exam is shut away while a student is made")


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _fraction(text: str) -> float:
    return _hash(f"{_SALT}\0{text}") / 2**64
