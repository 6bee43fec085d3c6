"""Which bytes of a JSON answer decide, found the slow way: by json's own offsets."""

import json

_LEAVES = json.JSONDecoder()


def deciding_bytes(text: str, label: str | None) -> set[int]:
    """Offsets into the UTF-8 bytes of `text`, a JSON object or array with nothing around it."""
    if label is None:
        chars, _ = _value(text, 0)
    else:
        chars = _labelled(text, label)
    starts = [0]
    for char in text:
        starts.append(starts[-1] + len(char.encode()))
    return {byte for char in chars for byte in range(starts[char], starts[char + 1])}


def _labelled(text: str, label: str) -> set[int]:
    at = _skip(text, 0)
    if text[at] != "{":
        return set()
    for key, chars, _ in _members(text, at):
        if key == label:
            return chars
    return set()


def _value(text: str, at: int) -> tuple[set[int], int]:
    at = _skip(text, at)
    if text[at] == "{":
        members = list(_members(text, at))
        if not members:
            end = _skip(text, at + 1)
            return {end}, end + 1
        return set().union(*(chars for _, chars, _ in members)), _skip(text, members[-1][2]) + 1
    if text[at] == "[":
        return _array(text, at)
    _, end = _LEAVES.raw_decode(text, at)
    if text[at] == '"':
        return set(range(at + 1, end - 1)) or {end - 1}, end
    return set(range(at, end)), end


def _members(text: str, at: int) -> list[tuple[str, set[int], int]]:
    """Key, deciding characters and end of each member of the object at `at`."""
    found = []
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _LEAVES.raw_decode(text, at)
        chars, at = _value(text, _skip(text, at) + 1)
        found.append((key, chars, at))
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _array(text: str, at: int) -> tuple[set[int], int]:
    chars: set[int] = set()
    at = _skip(text, at + 1)
    if text[at] == "]":
        return {at}, at + 1
    while text[at] != "]":
        more, at = _value(text, at)
        chars |= more
        at = _skip(text, at)
        if text[at] == ",":
            at += 1
    return chars, at + 1


def _skip(text: str, at: int) -> int:
    while text[at].isspace():
        at += 1
    return at
