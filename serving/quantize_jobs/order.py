"""What a quantizing job is told and what it tells: read and written by the job's own Python.

The order is a JSON file; the answer is one too, beside it. Calibration texts become tokens here,
by the chat template of the model itself.
"""

import json
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Order:
    """`samples`: `{"text": …}` or `{"messages": […]}`; none where a method needs no data."""

    method: str
    source: str
    target: str
    samples: list[dict[str, Any]]
    max_tokens: int
    bits: int
    group_size: int
    answer: str

    @classmethod
    def from_arguments(cls) -> "Order":
        return cls(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

    def tokens(self, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
        """Of each sample, cut at `max_tokens`."""
        return [self._tokens(tokenizer, sample)[: self.max_tokens] for sample in self.samples]

    def _tokens(self, tokenizer: PreTrainedTokenizerBase, sample: dict[str, Any]) -> list[int]:
        text = sample.get("text")
        if text is None:
            text = tokenizer.apply_chat_template(sample["messages"], tokenize=False)
        return list(tokenizer(text, add_special_tokens="text" in sample)["input_ids"])

    def done(self, tokens: list[list[int]], *packages: str) -> None:
        told = {
            "calibration_tokens": sum(map(len, tokens)),
            "versions": {name: version(name) for name in (*packages, "torch", "transformers")},
        }
        Path(self.answer).write_text(json.dumps(told), encoding="utf-8")
