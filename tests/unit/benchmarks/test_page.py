import json
import xml.etree.ElementTree as ElementTree

import pytest
from benchmarks.scale import page, plots, results
from benchmarks.scale.page import Environment

from support.benchmark_runs import a_latency, a_phase, a_run, raw

ENVIRONMENT = Environment(machine="2 processors", kubernetes="v1.37.1")


def parsed(svg):
    return ElementTree.fromstring(svg)  # noqa: S314 - the text is the project's own


def some_runs():
    latencies = {"create to Ready": a_latency(1.5)}
    phases = (a_phase(latencies=latencies), a_phase("restart", requests={"list pods": 3}))
    return [
        raw(),
        a_run(*phases),
        a_run(a_phase(lag_p99_s=None, own_lag_p99_s=None), variant="baseline"),
        a_run(a_phase(seconds=4.0), agents=100),
    ]


def test_the_page_has_a_row_for_each_phase_and_each_creation():
    lines = page.page(some_runs(), ENVIRONMENT).splitlines()
    assert "| 1,000 | raw StatefulSets | 50.0 | 22 |  |" in lines
    assert "| 1,000 | the operator | 25.0 | 44 | 12.0 |" in lines
    assert (
        "| 1,000 | the operator | create | 40.0 | 12.0 | 44.0 | 1000 | 10 | 150 | 20 ms, 10 ms "
        "| 0.4 | create to Ready 1.50 / 1.50 / 1.50 s |" in lines
    )
    assert "| 1,000 | the operator | restart | list pods 3 |" in lines
    assert "| 1,000 | 150 MiB | 192Mi | 256Mi | 12.0 |" in lines


def test_all_rows_of_a_table_have_the_same_number_of_columns():
    tables = [
        block for block in page.page(some_runs(), ENVIRONMENT).split("\n\n") if "| --- |" in block
    ]
    assert len(tables) == 5
    for table in tables:
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({line.count(" | ") for line in rows}) == 1


def test_each_chart_that_the_page_shows_exists():
    text, charts = page.page(some_runs(), ENVIRONMENT), page.charts(some_runs())
    assert charts.keys() == {"create", "cpu", "memory"}
    for name in charts:
        assert f"(scale-{name}.svg)" in text


def test_a_chart_has_one_point_for_two_raw_runs():
    dots = [
        item
        for item in parsed(page.charts([raw(10.0), raw(30.0)])["create"])
        if item.tag.endswith("circle")
    ]
    assert len(dots) == 1


def test_a_run_that_failed_at_its_creation_is_on_no_chart():
    runs = [raw(), a_run()]
    assert page.charts(runs).keys() == {"create", "cpu"}
    assert "scale-memory.svg" not in page.page(runs, ENVIRONMENT)


def test_a_run_without_a_creation_has_no_charts():
    assert page.charts([a_run(a_phase("idle"))]) == {}
    assert "svg" not in page.page([a_run(a_phase("idle"))], ENVIRONMENT)


def test_the_results_survive_json():
    runs = some_runs()
    assert results.from_json(json.loads(json.dumps(results.to_json(runs)))) == runs


def test_a_new_run_replaces_only_the_same_variant_at_the_same_size():
    kept = results.without(some_runs(), ["ours"], 1000)
    assert [(run.variant, run.agents) for run in kept] == [
        ("raw", 1000),
        ("baseline", 1000),
        ("ours", 100),
    ]


def test_a_phase_without_requests_is_in_the_table_of_requests():
    text = page.page([a_run(a_phase("idle", requests={}))], ENVIRONMENT)
    assert "| 1,000 | the operator | idle | none |" in text


def test_a_chart_is_valid_svg_with_a_line_per_series():
    svg = plots.chart(
        "a < b", "agents", "s", {"one": [(100, 1), (1000, 9)], "two": [(100, 2), (10, 0)]}
    )
    root = parsed(svg)
    lines = [item for item in root if item.tag.endswith("polyline")]
    dots = [item for item in root if item.tag.endswith("circle")]
    assert (len(lines), len(dots)) == (2, 3)
    assert {"a < b", "one", "two", "100", "1,000"} <= {item.text for item in root}


def test_the_points_of_a_chart_are_inside_its_axes():
    svg = plots.chart("t", "x", "y", {"one": [(100, 0.02), (10_000, 5000)]})
    for dot in (item for item in parsed(svg) if item.tag.endswith("circle")):
        assert plots.LEFT < float(dot.get("cx")) < plots.WIDTH - plots.RIGHT
        assert plots.TOP < float(dot.get("cy")) < plots.HEIGHT - plots.BOTTOM


@pytest.mark.parametrize("points", [[], [(100, 0)]])
def test_a_chart_needs_a_point(points):
    with pytest.raises(ValueError, match="no points"):
        plots.chart("t", "x", "y", {"one": points})


PHASES = {"raw": ["create"], "ours": ["create", "restart"], "baseline": ["create"]}
SEQUENCE = ["raw", "ours", "baseline", "raw"]


@pytest.mark.parametrize(
    ("runs", "left"),
    [
        pytest.param([], SEQUENCE, id="nothing is measured"),
        pytest.param([raw()], ["ours", "baseline", "raw"], id="interrupted after the first run"),
        pytest.param(
            [raw(), a_run(a_phase())], ["ours", "baseline", "raw"], id="interrupted in a run"
        ),
        pytest.param(
            [raw(), a_run(a_phase(), a_phase("restart"), failure="it ended")],
            ["ours", "baseline", "raw"],
            id="a run failed",
        ),
        pytest.param(
            [raw(), a_run(a_phase(), a_phase("restart"))], ["baseline", "raw"], id="two runs"
        ),
        pytest.param([raw(agents=100)], SEQUENCE, id="another size"),
    ],
)
def test_a_resumed_benchmark_measures_the_missing_and_the_failed_runs(runs, left):
    assert results.left(runs, SEQUENCE, 1000, PHASES) == left


def test_a_resumed_benchmark_replaces_the_failed_runs_of_its_size_only():
    failed = a_run(a_phase(), failure="it ended")
    runs = [raw(), failed, a_run(a_phase(), agents=100, failure="it ended")]
    assert results.incomplete(runs, 1000, PHASES) == [failed]
