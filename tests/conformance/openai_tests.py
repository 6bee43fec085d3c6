"""The official client's own tests, out of the source archive of the version in the lock.

`python -m tests.conformance.openai_tests` fetches and verifies the archive and unpacks it under
TUTELAGE_HOME. Nothing of it is ours, and nothing of it is kept in this repository.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from serving.home import Home

SHA256 = {
    "3.54.0": "2e393e63f8a38be6452806f9ef0b6534fecd6d41ab3b2165180dfce3599249cd",
}
"""By version; from the page of the release on PyPI."""


class NotThere(Exception):
    """The archive cannot be had, or is not what it should be."""


@dataclass(frozen=True, slots=True)
class OpenaiTests:
    """Where the tests of this version are, or will be."""

    version: str
    folder: Path

    @classmethod
    def here(cls) -> "OpenaiTests":
        """Of the version that is installed."""
        return cls(version("openai"), Home.of(os.environ).root / "conformance")

    @property
    def root(self) -> Path:
        return self.folder / f"openai-{self.version}"

    def prepare(self) -> None:
        """Raises NotThere."""
        if self.root.is_dir():
            return
        if (known := SHA256.get(self.version)) is None:
            raise NotThere(f"no checksum for openai {self.version}: add it to {__file__}")
        self.folder.mkdir(parents=True, exist_ok=True)
        archive = self._fetched()
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != known:
            archive.unlink()
            raise NotThere(f"{archive.name} has the checksum {found}, not {known}")
        draft = self.folder / f".{self.version}.{os.getpid()}"
        with tarfile.open(archive) as packed:
            if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and newer
                packed.extraction_filter = tarfile.data_filter
            packed.extractall(draft)
        (draft / self.root.name).rename(self.root)
        draft.rmdir()

    def _fetched(self) -> Path:
        archive = self.folder / f"openai-{self.version}.tar.gz"
        if not archive.is_file():
            options = ["--quiet", "--no-deps", "--no-binary", "openai", "--dest", str(self.folder)]
            command = [sys.executable, "-m", "pip", "download", *options]
            fetched = subprocess.run([*command, f"openai=={self.version}"], check=False)
            if fetched.returncode or not archive.is_file():
                raise NotThere(f"pip could not fetch {archive.name}")
        return archive


def main() -> int:
    tests = OpenaiTests.here()
    try:
        tests.prepare()
    except NotThere as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"the tests of openai {tests.version} are in {tests.root}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
