"""Boards to Grafana's JSON, by its own SDK: `make dashboards` writes them, a test compares."""

import argparse
import sys
from pathlib import Path

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard

from grafana import divergence, engines, overview, routing
from grafana.board import Board, Limits, Look, Panel, Query

BOARDS = (overview.BOARD, routing.BOARD, divergence.BOARD, engines.BOARD)
FOLDER = Path(__file__).parent / "dashboards"

_HEIGHT = 8
_FIGURE_HEIGHT = 5
_SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${source}")


def as_json(board: Board) -> str:
    made = (
        build.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags(["tutelage"])
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .with_variable(build.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .link(
            build.DashboardLink("tutelage")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags(["tutelage"])
            .as_dropdown(as_dropdown=False)
            .keep_time(keep_time=True)
            .include_vars(include_vars=True)
        )
    )
    if board.by_route:
        made = made.with_variable(_route())
    for row in board.rows:
        made = made.with_row(build.Row(row.title))
        for panel in row.panels:
            made = made.with_panel(_panel(panel))
    return JSONEncoder(sort_keys=True, indent=1).encode(made.build()) + "\n"


def files() -> dict[Path, str]:
    """What each file should hold."""
    return {FOLDER / f"{board.uid}.json": as_json(board) for board in BOARDS}


def main() -> int:
    """Writes them, or, with --check, names those that are not in step."""
    parser = argparse.ArgumentParser(prog="python -m grafana.write", description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = {
        path: text
        for path, text in files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        if not check:
            path.write_text(text, encoding="utf-8")
        sys.stderr.write(f"{path.name}: {'not in step: make dashboards' if check else 'written'}\n")
    return 1 if check and stale else 0


def _route() -> build.QueryVariable:
    return (
        build.QueryVariable("route")
        .label("Route")
        .datasource(_SOURCE)
        .query("label_values(tutelage_requests_total, route)")
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(dashboard.VariableOption(text="All", value="$__all"))
    )


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    made = _figure(panel) if panel.look is Look.FIGURE else _lines(panel)
    made = made.title(panel.title).description(panel.about).unit(panel.unit).datasource(_SOURCE)
    made = made.span(panel.width).min(0)
    if panel.unit == "percentunit":
        made = made.max(1)
    if panel.limits is not None:
        made = made.thresholds(_steps(panel.limits))
    for number, query in enumerate(panel.queries):
        made = made.with_target(_target(query, number))
    return made


def _figure(panel: Panel) -> stat.Panel:
    made = stat.Panel().height(_FIGURE_HEIGHT)
    shown = common_builders.ReduceDataOptions().calcs(["lastNotNull"])
    made = made.reduce_options(shown).graph_mode(common.BigValueGraphMode.AREA)
    if panel.limits is None:
        made = made.color_mode(common.BigValueColorMode.NONE)
    return made


def _lines(panel: Panel) -> timeseries.Panel:
    made = timeseries.Panel().height(_HEIGHT).show_points(common.VisibilityMode.NEVER)
    made = made.legend(
        common_builders.VizLegendOptions()
        .show_legend(show_legend=True)
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    )
    if panel.look is Look.STACKED:
        stacked = common_builders.StackingConfig().mode(common.StackingMode.NORMAL)
        made = made.stacking(stacked).fill_opacity(40)
    if panel.limits is not None:
        style = common_builders.GraphThresholdsStyleConfig()
        made = made.thresholds_style(style.mode(common.GraphTresholdsStyleMode.LINE))
    return made


def _steps(limits: Limits) -> build.ThresholdsConfig:
    """Grafana's steps go upwards, from one without a value."""
    colours = [("green", None), ("orange", limits.warn), ("red", limits.bad)]
    if limits.warn > limits.bad:
        colours = [("red", None), ("orange", limits.bad), ("green", limits.warn)]
    steps = [dashboard.Threshold(value=value, color=colour) for colour, value in colours]
    mode = dashboard.ThresholdsMode.ABSOLUTE
    return build.ThresholdsConfig().mode(mode).steps(steps)


def _target(query: Query, number: int) -> prometheus.Dataquery:
    made = prometheus.Dataquery().ref_id(chr(ord("A") + number)).datasource(_SOURCE)
    return made.expr(query.expr).legend_format(query.legend).range()


if __name__ == "__main__":
    sys.exit(main())
