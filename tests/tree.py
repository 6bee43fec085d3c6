"""The tree in README.md: one line per file of the product, written from the files' own first lines.

`make tree` writes it anew; `tests/test_tree.py` holds README and files in step.
"""

import argparse
import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
START, END = "<!-- tree: made by `make tree` -->\n", "<!-- end of tree -->\n"

PACKAGES = ("gateway", "router", "serving", "distill")

OTHERS = {
    "benchmarks/": "the recipes behind `make bench`, and what they measured",
    "deploy/": "example configs: your own vLLM and a teacher API; two scripted engines",
    "grafana/": "dashboards, rules and alerts, queries for the first questions",
    "tests/": "mirrors the packages",
    "tests/journeys/": "one story a file, through a running gateway",
    "tests/contracts/": "one suite that the scripted engine and real engines must pass",
    "tests/vllm/": "vLLM's CPU build: made by a script, then asked for real",
    "tests/golden/": "what real engines said, byte for byte",
    "tests/packaging/": "run against the built wheel",
}


def tree() -> str:
    """The block between the two marks."""
    lines = [line for package in PACKAGES for line in _package(ROOT / package, 0)]
    lines += [f"{name:<26}{text}" for name, text in OTHERS.items()]
    return "```\n" + "\n".join(line.rstrip() for line in lines) + "\n```\n"


def updated(readme: str) -> str:
    """`readme` with the tree as it is now. Raises ValueError when a mark is missing."""
    before, after = readme.index(START) + len(START), readme.index(END)
    return readme[:before] + tree() + readme[after:]


def _package(folder: Path, depth: int) -> list[str]:
    indent = "  " * depth
    lines = [f"{indent + folder.name + '/':<26}{_purpose(folder / '__init__.py')}"]
    files = (path for path in sorted(folder.glob("*.py")) if path.stem != "__init__")
    lines += [f"{indent + '  ' + path.name:<26}{_purpose(path)}" for path in files]
    for inner in sorted(folder.iterdir()):
        if (inner / "__init__.py").is_file():
            lines += _package(inner, depth + 1)
    return lines


def _purpose(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first, *_ = docstring.splitlines() or [""]
    return first.rstrip(".:")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="into README.md")
    if parser.parse_args().write:
        README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(tree())  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
