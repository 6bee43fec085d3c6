"""Markers: the tags that chat templates put around reasoning and tool calls.

`<think>…</think>`, `<tool_call>…</tool_call>`, `[TOOL_CALLS]…`: engines take them out of the text,
but the tokens whose logprobs they send still spell them.
"""

REASONING_BEGINS = frozenset(
    {b"<think>", b"[THINK]", b"<seed:think>", b"<thought>", b"<|START_THINKING|>"}
)
REASONING_ENDS = frozenset(
    {b"</think>", b"[/THINK]", b"</seed:think>", b"</thought>", b"<|END_THINKING|>"}
)
CALLS_BEGIN = frozenset(
    {
        b"<tool_call>",  # Hermes, Qwen, GLM
        b"<tool_calls>",
        b"<function=",  # Llama 3.1's own
        b"[TOOL_CALLS]",  # Mistral
        b"<|python_tag|>",  # Llama 3
        b"<|tool_call|>",  # Granite
        b"<|tool_call_start|>",  # LFM2
        b"<|tool_calls_section_begin|>",  # Kimi
        "<｜tool▁calls▁begin｜>".encode(),  # noqa: RUF001 - DeepSeek's own bars
    }
)
STARTS = frozenset(b"<[")
"""The first byte of every marker, which is found nowhere else in one."""


class Markers:
    """A set of markers that can be looked for byte by byte."""

    def __init__(self, *kinds: frozenset[bytes]) -> None:
        self.whole = frozenset().union(*kinds)
        self.beginnings = frozenset(
            marker[:end] for marker in self.whole for end in range(1, len(marker))
        )


class MarkerSearch:
    """Finds markers however the bytes are cut. `pending`: what may yet become one."""

    def __init__(self) -> None:
        self.pending = b""

    def step(self, byte: int, markers: Markers) -> bytes | None:
        """The marker that this byte completes. A byte that was in vain starts anew."""
        seen = self.pending + bytes((byte,))
        if seen in markers.whole:
            self.pending = b""
            return seen
        if seen not in markers.beginnings:
            seen = seen[-1:] if byte in STARTS else b""
            if seen not in markers.beginnings:
                seen = b""
        self.pending = seen
        return None
