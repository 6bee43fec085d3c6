"""Makes `serving/triage/feedback.jsonl.gz` from the sdist of vaderSentiment 2.5 (MIT).

    pip download --no-deps --no-binary :all: vaderSentiment==2.5
    python -m distill.triage_data vaderSentiment-2.5.tar.gz

The same sdist gives the same bytes. Ratings are stored as counts per value because raters are
anonymous and unordered. Means are taken from the ratings: for 196 tweets the distribution's own
"ground truth" column disagrees with them.
"""

import argparse
import ast
import gzip
import hashlib
import html
import io
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from serving.triage.dataset import DATA_FILE, RATINGS, Source

SDIST_SHA256 = "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84"

_INNER = "vaderSentiment-2.5/additional_resources/hutto_ICWSM_2014.tar.gz"
_FILES = {
    Source.MOVIE: "movieReviewSnippets",
    Source.AMAZON: "amazonReviewSnippets",
    Source.NYT: "nytEditorialSnippets",
    Source.TWEET: "tweets",
}


class WrongSource(ValueError):
    """The archive is not the one the recipe was written for."""


def build(sdist: Path, out: Path) -> int:
    """Writes the data file; returns how many texts it holds. Raises `WrongSource`."""
    blob = sdist.read_bytes()
    digest = hashlib.sha256(blob).hexdigest()
    if digest != SDIST_SHA256:
        msg = f"{sdist}: sha256 {digest}, expected {SDIST_SHA256}; get vaderSentiment==2.5's sdist"
        raise WrongSource(msg)
    with tarfile.open(fileobj=io.BytesIO(blob)) as outer:
        inner = _member(outer, _INNER)
    seen: set[str] = set()
    lines: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        for source in Source:
            for row_id, counts, text in _rows(archive, source):
                if text.casefold() in seen:  # a copy could lie on both sides of the split
                    continue
                seen.add(text.casefold())
                row = {"id": row_id, "counts": counts, "text": text}
                lines.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=0) as file:
        file.write("\n".join(lines).encode() + b"\n")
    out.write_bytes(packed.getvalue())
    return len(lines)


def _rows(archive: tarfile.TarFile, source: Source) -> Iterator[tuple[str, list[int], str]]:
    """Id (`source-document` or `source-document_sentence`), counts for -4..+4, text."""
    stem = f"hutto_ICWSM_2014/{_FILES[source]}"
    ratings: dict[str, list[int]] = {}
    for line in _lines(archive, f"{stem}_anonDataRatings.txt"):
        row_id, _, _, values = line.split("\t")
        tally = Counter(ast.literal_eval(values))
        ratings[row_id] = [tally[rating] for rating in RATINGS]
    for line in _lines(archive, f"{stem}_GroundTruth.txt"):
        row_id, _, text = line.split("\t")
        yield f"{source.value}-{row_id}", ratings[row_id], " ".join(html.unescape(text).split())


def _lines(archive: tarfile.TarFile, name: str) -> list[str]:
    return _member(archive, name).decode("utf-8-sig").splitlines()


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        msg = f"{name}: not a file in the archive; get vaderSentiment==2.5's sdist"
        raise WrongSource(msg)
    return file.read()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m distill.triage_data", description=__doc__)
    parser.add_argument("sdist", type=Path, help="vaderSentiment-2.5.tar.gz")
    parser.add_argument("--out", type=Path, default=DATA_FILE)
    asked = parser.parse_args()
    count = build(asked.sdist, asked.out)
    sys.stdout.write(f"{asked.out}: {count} texts, {asked.out.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
