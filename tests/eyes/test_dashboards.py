"""The dashboards and rules as files: in step with their definitions, and about what there is."""

import json
import re
from pathlib import Path

import pytest

from gateway.families import FAMILIES
from grafana.board import Board, Panel
from grafana.write import BOARDS, FOLDER, files

ROOT = Path(__file__).parent.parent.parent
RULES = (ROOT / "grafana" / "rules.yml").read_text(encoding="utf-8")
RUNBOOKS = ROOT / "deploy" / "runbooks"
PANELS = [
    pytest.param(board, panel, id=f"{board.uid}: {panel.title}")
    for board in BOARDS
    for panel in board.panels
]


def test_the_files_are_what_the_definitions_say() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {path.name for path in files()}
    for path, text in files().items():
        assert path.read_text(encoding="utf-8") == text, "make dashboards"


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_a_board_has_places_for_its_panels_and_links_to_the_others(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    panels = [each for each in board["panels"] if each["type"] != "row"]

    assert len(panels) == len(next(b for b in BOARDS if b.uid == board["uid"]).panels)
    places = {(each["gridPos"]["x"], each["gridPos"]["y"]) for each in panels}
    assert len(places) == len(panels)
    assert board["links"][0]["tags"] == ["tutelage"] == board["tags"]
    variables = [each["name"] for each in board["templating"]["list"]]
    assert variables == (["source"] if board["uid"] == "tutelage-engines" else ["source", "route"])


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_a_panel_says_what_it_answers_and_fits_its_row(board: Board, panel: Panel) -> None:
    assert panel.about.endswith(".")
    assert panel.title
    assert panel.queries
    for row in board.rows:
        assert sum(each.width for each in row.panels) % 24 == 0, row.title
    for query in panel.queries:
        by_route = "$route" in query.expr
        assert board.by_route or not by_route
        for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
            assert re.search(rf"by \([^)]*\b{label}\b", query.expr), (label, query.expr)


def test_every_metric_of_the_gateway_is_on_a_board() -> None:
    shown = " ".join(query.expr for board in BOARDS for p in board.panels for query in p.queries)

    assert [family.name for family in FAMILIES if family.name not in shown] == []


def test_every_alert_has_a_runbook_that_says_what_to_look_at_and_what_to_do() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES)

    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(alerts)
    assert re.findall(r"runbook: deploy/runbooks/(\w+)\.md", RULES) == alerts
    for alert in alerts:
        text = (RUNBOOKS / f"{alert}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {alert}\n")
        for part in ("## What it means", "## Look", "## Do"):
            assert part in text, alert
