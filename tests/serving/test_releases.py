"""A release is what it was when it was added, or it is refused."""

import json
from pathlib import Path

import pytest

from serving.release import MANIFEST, BrokenRelease, Gate, read_release
from serving.releases import CannotRelease, Draft, NoSuchRelease, Releases


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "releases")


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "student.gguf"
    path.write_bytes(b"GGUF and so on")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As transformers saves a quantized model."""
    path = tmp_path / "student"
    path.mkdir()
    config = {"quantization_config": {"quant_method": "gptq"}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "model.safetensors").write_bytes(b"numbers")
    return path


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    path = tmp_path / "lora"
    path.mkdir()
    (path / "adapter_config.json").write_text('{"r": 8}')
    return path


def test_what_was_added_is_read_again(releases: Releases, gguf: Path) -> None:
    gate = Gate(threshold=0.7, label="sentiment")
    added = releases.add(Draft("support", gguf, gate=gate, provenance={"data": "ours"}))
    read = releases.get("support")

    assert read == added
    assert read.weights.read_bytes() == gguf.read_bytes()
    assert read.manifest.gate == gate
    assert read.manifest.provenance == {"data": "ours"}
    assert read.id.startswith("support-")
    assert read.weights.stat().st_mode & 0o222 == 0


def test_the_same_again_is_the_same_release(releases: Releases, gguf: Path) -> None:
    one = releases.add(Draft("support", gguf))
    assert releases.add(Draft("support", gguf)) == one
    assert [path.name for path in releases.root.iterdir()] == [one.id]


def test_a_folder_goes_in_with_its_adapter_and_its_quantization(
    releases: Releases, folder: Path, lora: Path
) -> None:
    release = releases.add(Draft("support", folder, adapter=lora))

    assert (release.weights / "config.json").is_file()
    assert release.adapter is not None
    assert (release.adapter / "adapter_config.json").is_file()
    assert release.manifest.student.quantization == "gptq"


def test_the_student_is_its_weights_and_its_adapter(
    releases: Releases, folder: Path, lora: Path
) -> None:
    bare = releases.add(Draft("a", folder)).manifest.student.sha256
    bent = releases.add(Draft("a", folder, adapter=lora)).manifest.student.sha256
    tuned = releases.add(Draft("b", folder, gate=Gate(threshold=0.5))).manifest.student.sha256

    assert bare == tuned
    assert bent != bare


@pytest.mark.parametrize("name", ["weights/student.gguf", MANIFEST])
def test_a_changed_byte_is_refused(releases: Releases, gguf: Path, name: str) -> None:
    release = releases.add(Draft("support", gguf))
    path = release.folder / name
    path.chmod(0o644)
    written = bytearray(path.read_bytes())
    written[-2] ^= 1
    path.write_bytes(written)

    with pytest.raises(BrokenRelease, match="it is not used: add the release again") as refused:
        releases.get("support")
    assert str(path) in str(refused.value)


def test_a_file_too_many_or_too_few_is_refused(releases: Releases, gguf: Path) -> None:
    release = releases.add(Draft("support", gguf))
    more = release.folder / "more.txt"
    more.write_text("more")
    with pytest.raises(BrokenRelease, match=r"more\.txt: is not part of the release"):
        read_release(release.folder)
    more.unlink()
    release.weights.unlink()
    with pytest.raises(BrokenRelease, match=r"student\.gguf: is missing"):
        read_release(release.folder)
    (broken,) = releases.all()
    assert isinstance(broken, BrokenRelease)


def test_links_take_no_room(releases: Releases, gguf: Path) -> None:
    release = releases.add(Draft("support", gguf), link=True)
    assert release.weights.samefile(gguf)


def test_a_calibration_of_another_student_is_refused(
    releases: Releases, gguf: Path, tmp_path: Path
) -> None:
    student = releases.add(Draft("support", gguf)).manifest.student.sha256
    calibration = tmp_path / "calibration.json"
    draft = Draft("support", gguf, gate=Gate(threshold=0.5), calibration=calibration)

    for told in ({"student_sha256": "0" * 64}, {}):
        calibration.write_text(json.dumps(told))
        with pytest.raises(CannotRelease, match="belongs to the student it was fitted on"):
            releases.add(draft)
    calibration.write_text(json.dumps({"student_sha256": student}))
    release = releases.add(draft)

    assert release.facts()["calibration"] == {"student_sha256": student}
    assert read_release(release.folder) == release


def test_what_is_no_student_is_refused_and_leaves_nothing(
    releases: Releases, gguf: Path, folder: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("no model")
    for draft, why in (
        (Draft("support", plain), r"a single file is a \.gguf one"),
        (Draft("support", tmp_path / "none"), "nor a folder with config.json"),
        (Draft("support", gguf, adapter=folder), "an adapter of the other kind"),
        (Draft("Über", gguf), "name"),
    ):
        with pytest.raises(CannotRelease, match=why):
            releases.add(draft)
    assert list(releases.root.iterdir()) == []


def test_a_name_is_found_by_its_beginning_if_that_is_clear(
    releases: Releases, gguf: Path, folder: Path
) -> None:
    one, other = releases.add(Draft("support", gguf)), releases.add(Draft("support", folder))

    assert releases.get(one.id) == one
    with pytest.raises(NoSuchRelease, match=f"could be .*{other.id}"):
        releases.get("support")
    with pytest.raises(NoSuchRelease, match="there is support-"):
        releases.get("another")


def test_the_pointer_is_replaced_in_one_step_and_taken_away(releases: Releases, gguf: Path) -> None:
    release = releases.add(Draft("support", gguf))
    place = releases.root / "current" / "chat"
    for _ in range(2):
        releases.point("chat", release.id)
        assert read_release(place.resolve()) == release
    releases.point("chat", None)

    assert not place.is_symlink()
    assert [each for each in releases.all()] == [release]  # noqa: C416 - the pointers are none
