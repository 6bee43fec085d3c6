"""How a folder of weights came to be: `quantization.json` beside them."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from serving.errors import BadConfig
from serving.fidelity import Fidelity
from serving.wheel import sha256_of

FILE = "quantization.json"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Weights(_Section):
    """`sha256` is over the names and hashes of the folder's files, this manifest left out."""

    path: str
    sha256: str
    bytes: int


class Calibration(_Section):
    """`sha256`: of the file that the texts came from; samples and tokens: those that were used."""

    path: str
    sha256: str
    samples: int
    tokens: int
    max_tokens: int


class Quantization(_Section):
    schema_version: Literal[1] = 1
    method: str
    bits: int
    group_size: int | None
    source: Weights
    result: Weights
    calibration: Calibration | None
    versions: dict[str, str]
    seconds: float
    made_at: datetime
    fidelity: Fidelity | None
    """None: not measured."""

    def write(self, folder: Path) -> None:
        (folder / FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_quantization(folder: Path) -> Quantization:
    """Raises `BadConfig`."""
    path = folder / FILE
    try:
        return Quantization.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BadConfig(str(path), f"is no manifest of `engines quantize`: {error}") from error


def weights_in(folder: Path) -> Weights:
    """Reads every file: seconds for gigabytes."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != FILE]
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256_of(path)}\n".encode())
    return Weights(
        path=str(folder),
        sha256=digest.hexdigest(),
        bytes=sum(path.stat().st_size for path in files),
    )
