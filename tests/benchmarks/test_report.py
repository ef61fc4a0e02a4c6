"""Medians, ratios, tables and charts."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.report import write
from benchmarks.report.charts import Bar, bars
from benchmarks.report.machine import Machine
from benchmarks.report.summary import Row, medians, ratio, summarize
from benchmarks.report.tables import number, simple_table
from benchmarks.rounds import Cell, Plan
from benchmarks.servers import SERVERS
from benchmarks.workloads import WORKLOADS

MACHINE = Machine("A processor", 2, 8, "Linux 6.1", "CPython 3.11.7", {"Django": "5.2"})


def samples(rate: float, cpu: float = 10.0, others: float = 0.0) -> dict[str, float]:
    return {
        "rate": rate,
        "cpu_us": cpu,
        "user_us": cpu * 0.75,
        "system_us": cpu * 0.25,
        "server_busy": 0.99,
        "client_busy": 0.5,
        "others_busy": others,
        "longest_pause": 0.002,
    }


def test_medians_skip_rounds_without_the_sample() -> None:
    assert medians([{"a": 1, "b": 5}, {"a": 9}, {"a": 2}]) == {"a": 2, "b": 5}


@pytest.mark.parametrize(
    ("ours", "theirs", "more_is_better", "expected"),
    [(100, 50, True, 2.0), (100, 50, False, 0.5), (None, 50, True, None), (100, 0, True, None)],
)
def test_ratio_is_above_one_where_ours_is_better(
    ours: float | None, theirs: float, more_is_better: bool, expected: float | None
) -> None:
    assert ratio(ours, theirs, more_is_better=more_is_better) == expected


def rows(more_is_better: bool = True) -> list[Row]:
    return summarize(
        [
            ("slow", False, True, [samples(10, 40), samples(30, 40), samples(20, 40)], None),
            ("gone", False, False, [], "did not start"),
            ("we", True, True, [samples(100)], None),
            ("fast", False, False, [samples(200, 5)], None),
        ],
        "rate",
        more_is_better=more_is_better,
    )


def test_the_best_comes_first_and_the_missing_last() -> None:
    assert [row.title for row in rows()] == ["fast", "we", "slow", "gone"]
    assert [row.title for row in rows(more_is_better=False)] == ["slow", "we", "fast", "gone"]


def test_a_row_has_its_range_and_its_ratios_to_ours() -> None:
    slow = rows()[2]
    assert (slow.median, slow.low, slow.high) == (20, 10, 30)
    assert (slow.ratio, slow.cpu_ratio) == (5, 4)
    assert rows()[3].missing == "did not start"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.00"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (12345, "12 345")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_simple_table_aligns_its_columns() -> None:
    assert simple_table(["server", "n"], [["one", "1"], ["a longer name", "12 345"]]).splitlines() == [
        "=============  ======",
        "server              n",
        "=============  ======",
        "one                 1",
        "a longer name  12 345",
        "=============  ======",
    ]


def test_a_chart_is_svg_with_a_bar_for_each_server() -> None:
    root = ElementTree.fromstring(
        bars("Echo <100>", "messages/s & more", [Bar("us", 10, 8, 12, True), Bar("them", 5, 5, 5)])
    )
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.attrib["width"]) for bar in root.iter(f"{space}rect")]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.01)
    assert len(list(root.iter(f"{space}path"))) == 1  # only one of them varied
    right = max(float(text.attrib["x"]) for text in root.iter(f"{space}text"))
    assert right < float(root.attrib["width"])


def plan_and_cells(others: float) -> tuple[Plan, list[Cell]]:
    servers = [SERVERS["ours"], SERVERS["floor"], SERVERS["channels-sync"]]
    plan = Plan(servers, [WORKLOADS["echo-100x100"]], rounds=2, duration=1.0, warmup=0.1)
    return plan, [
        Cell("echo-100x100", "ours", [samples(50, others=others), samples(60, others=others)]),
        Cell("echo-100x100", "floor", [samples(100), samples(100)]),
        Cell("echo-100x100", "channels-sync", missing="did not start: no module", failed=True),
    ]


def test_the_report_is_written(tmp_path: Path) -> None:
    plan, cells = plan_and_cells(others=0.0)
    text = write(plan, cells, MACHINE, tmp_path)
    assert "**django-websocket** \\*" in text
    assert "* Channels, sync consumer, uvicorn: did not start: no module" in text
    assert "Not for publishing" not in text
    assert text == (tmp_path / "results.rst").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"results.rst", "results.json", "echo-100x100.svg"}


def test_a_disturbed_run_says_so(tmp_path: Path) -> None:
    plan, cells = plan_and_cells(others=0.3)
    assert "Not for publishing" in write(plan, cells, MACHINE, tmp_path)


def test_the_report_says_how_many_rounds_there_were_not_how_many_were_planned(tmp_path: Path) -> None:
    plan, cells = plan_and_cells(others=0.0)
    assert "2 rounds of 1.00 s" in write(plan, cells, MACHINE, tmp_path)
    cells[1].samples.pop()
    assert "1 to 2 rounds of 1.00 s" in write(plan, cells, MACHINE, tmp_path)
