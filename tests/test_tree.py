"""The README's tree is that of the files."""

from tests.tree import OTHERS, README, ROOT, tree, updated


def test_the_readme_has_one_line_for_every_file_of_the_product() -> None:
    readme = README.read_text(encoding="utf-8")

    assert tree().count("\n") > 80
    assert readme == updated(readme), "run `make tree`"


def test_the_folders_it_names_are_there() -> None:
    for folder in OTHERS:
        assert (ROOT / folder).is_dir()
