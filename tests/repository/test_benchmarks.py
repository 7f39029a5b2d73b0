"""Benchmarks compare fairly, lose nothing that was measured, and say what they left out. Nothing here is timed."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from adapted import tables_of
from bench import SCRIPTS, Script, run
from page import Ran, page
from report import Interleaved, Part, Row, at_least, at_most, ratio_row, write

ROOT = Path(__file__).parents[2]


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s#]+)$", path.read_text(), re.MULTILINE))


def test_peers_are_pinned_and_share_the_versions_of_what_we_use_too() -> None:
    path = ROOT / "benchmarks" / "peers.txt"
    asked = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    peers, ours = _pins(path), _pins(ROOT / "constraints.txt")
    assert len(peers) == len(asked)
    assert {name: peers[name] for name in ("torch", "numpy", "scikit-learn")} == {
        name: ours[name] for name in ("torch", "numpy", "scikit-learn")
    }


def test_a_ratio_is_one_of_medians_and_its_spread_that_of_the_rounds_that_have_both() -> None:
    row = ratio_row("a", {0: 1.0, 1: 2.0, 2: 4.0, 3: 100.0}, "b", {0: 4.0, 1: 4.0, 2: 4.0}, at_most(0.5))
    assert (row.ours, row.theirs, row.ratio, row.low, row.high, row.rounds) == (2.0, 4.0, 0.5, 0.25, 1.0, 3)
    assert row.holds
    assert not at_least(0.6).holds(row.ratio)


def test_a_comparison_without_a_common_round_is_none() -> None:
    with pytest.raises(ValueError, match="no round has both"):
        ratio_row("a", {0: 1.0}, "b", {1: 1.0})


def _counting(name: str) -> Iterator[dict[str, float]]:
    for count in range(100):
        yield {name: float(count)}


def test_a_variant_that_fails_is_left_out_with_its_reason_and_the_others_go_on() -> None:
    good, bad = _counting("good"), iter([{"bad": 7.0}])
    interleaved = Interleaved({"good": lambda: next(good), "bad": lambda: next(bad)}, rounds=3, budget=1e6)
    assert list(interleaved.run()) == ["good", "bad", "bad", "good", "good"]
    assert interleaved.found == {"good": {0: 0.0, 1: 1.0, 2: 2.0}, "bad": {0: 7.0}}
    assert interleaved.left_out == ["bad from round 2 on: StopIteration: "]


def test_slow_variants_run_in_some_rounds_and_a_spent_budget_ends_them_all() -> None:
    quick, slow = _counting("quick"), _counting("slow")
    variants = {"quick": lambda: next(quick), "slow": lambda: next(slow)}
    interleaved = Interleaved(variants, rounds=5, budget=1e6, every={"slow": 3})
    list(interleaved.run())
    assert list(interleaved.found["slow"]) == [0, 3]
    spent = Interleaved(variants, rounds=5, budget=-1.0)
    assert list(spent.run()) == ["quick", "slow"]


ROW = {"what": "a fit (s)", "ours": 0.5, "peer": "x|y", "theirs": 2.0, "ratio": 0.25, "low": 0.2, "high": 1234.5, "rounds": 5}


def test_the_page_shows_hits_misses_and_everything_that_is_missing() -> None:
    table = {
        "title": "Fits",
        "rows": [{**ROW, "target": "at most 0.3", "holds": True}, {**ROW, "target": "at most 0.1", "holds": False}, ROW],
        "left_out": ["Keras on torch: not installed"],
    }
    parts = [
        Ran(name="fits", began="2026-01-02 03:04 UTC", seconds=5, load=0.1, tables=[table]),
        Ran(name="h2o", began="2026-01-02 03:05 UTC", seconds=5, load=0.1, ended="it was stopped after 30 minutes"),
    ]
    text = page(parts, {"processor": "P"}, {"ours": {"torch": "1"}, "peers": {"keras": "2", "java": "17"}}, "Why it misses.")
    assert "**1 of 2 targets are hit.** Missed:" in text
    assert "* a fit (s), beside x|y: 0.25, aimed at: at most 0.1" in text
    assert "| a fit (s) | 0.5 | x\\|y | 2 | 0.25 | 0.2 to 1 234 in 5 |  | at most 0.3 | hit |" in text
    assert "* Keras on torch: not installed" in text
    assert "* h2o: it was stopped after 30 minutes" in text
    assert "| peers | keras 2, Java 17 |" in text
    assert text.endswith("## Remarks\n\nWhy it misses.\n")


def test_tables_are_read_in_each_form_that_scripts_write(tmp_path: Path) -> None:
    table = {"title": "T", "rows": [ROW]}
    assert tables_of(table, "n") == tables_of([table], "n") == [table]
    assert tables_of([ROW], "n") == [{"title": "n", "rows": [ROW]}]
    assert tables_of({"a": 1}, "n") == []
    row = Row(what="a", ours=1, peer="b", theirs=2, ratio=0.5, low=0.5, high=0.5, rounds=1)
    write(tmp_path / "found.json", [Part(title="T", rows=[row])])
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_rates_become_a_table_of_ratios_with_the_memory_beside() -> None:
    [table] = tables_of(
        {
            "holdout": {
                "curve": {"what": "a curve", "per_second": [100.0, 300.0]},
                "poll": {"what": "unchanged", "per_second": [900.0]},
                "list": {"what": "a list", "per_second": [1.0]},
            },
            "mlflow": {"curve": {"what": "one metric", "per_second": [10.0, 10.0]}},
            "ratios": {"curve": {"target": 20}, "poll": {"target": 100}, "list": {"target": 20}},
            "memory_mb": {"holdout at the start": 200.0, "mlflow": 2000.0},
            "memory_target_mb": 250.0,
            "connections": 8,
        },
        "reading",
    )
    assert [(row["ratio"], row["holds"]) for row in table["rows"]] == [(20.0, True), (90.0, False), (0.8, True)]
    assert table["left_out"] == ["a list: no MLflow beside it"]


def test_seconds_of_a_service_become_ratios_to_training_alone() -> None:
    seconds = {
        "alone": [1.0, 2.0],
        "served": [1.2, 2.2],
        "seen": [1.05, 2.1],
        "one_epoch": [0.1, 0.1, 0.1, 0.4, 0.4, 0.4],
        "script": [2.0, 2.0],
        "together": [1.0, 3.0, 3.0, 2.0],
        "single": [2.0, 2.0],
        "accepted_per_second": 30.0,
    }
    [table] = tables_of({"epochs": 50, "databases": {"sqlite": seconds}}, "overhead")
    assert table["title"] == "overhead, sqlite"
    assert [row["ratio"] for row in table["rows"]] == pytest.approx([1.7 / 1.5, 1.575 / 1.5, 0.125, 1.0, 1.25])
    assert [row["least"] for row in table["rows"]][:2] == pytest.approx([1.2, 1.05])
    assert [row["holds"] for row in table["rows"]] == [False, True, False, True, False]


def _script(folder: Path, text: str, minutes: float = 1.0) -> Script:
    (folder / "one.py").write_text("import pathlib, subprocess, sys, time\nfound = pathlib.Path(sys.argv[2])\n" + text)
    return Script(name="one", peers=None, minutes=minutes)


def test_what_a_failing_benchmark_had_found_is_kept(tmp_path: Path) -> None:
    script = _script(tmp_path, f"found.write_text('''[{str(ROW).replace(chr(39), chr(34))}]''')\nsys.exit(3)\n")
    ran = run(script, sys.executable, is_quick=False, folder=tmp_path)
    assert ran.ended == "it failed (exit code 3)"
    assert ran.tables == [{"title": "one", "rows": [ROW]}]


def test_a_benchmark_beyond_its_limit_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    sleeper = "[sys.executable, '-c', 'import time; time.sleep(600)']"
    start = f"child = subprocess.Popen({sleeper}, start_new_session=True)\n"
    note = tmp_path / "pid"
    script = _script(tmp_path, start + f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\ntime.sleep(600)\n", minutes=0.1)
    ran = run(script, sys.executable, is_quick=False, folder=tmp_path)
    assert ran.ended == "it was stopped after 0 minutes"
    assert not psutil.pid_exists(int(note.read_text())) or psutil.Process(int(note.read_text())).status() == psutil.STATUS_ZOMBIE


def test_a_benchmark_that_is_missing_or_writes_nothing_is_named(tmp_path: Path) -> None:
    assert run(Script(name="none", peers=None, minutes=1), "", is_quick=False, folder=tmp_path).ended == "there is no such script"
    assert run(_script(tmp_path, ""), "", is_quick=False, folder=tmp_path).ended == "it found nothing"
    assert run(_script(tmp_path, "found.write_text('[{')\n"), "", is_quick=False, folder=tmp_path).ended.startswith(
        "what it wrote cannot be read"
    )


@pytest.mark.parametrize("script", [one for one in SCRIPTS if (ROOT / "benchmarks" / f"{one.name}.py").is_file()], ids=lambda one: one.name)
def test_every_benchmark_of_the_page_takes_the_options_it_is_given(script: Script) -> None:
    text = (ROOT / "benchmarks" / f"{script.name}.py").read_text()
    for option in ["--json", *([script.peers] if script.peers else []), *(one for one in script.quick or () if one.startswith("--"))]:
        assert f'"{option}"' in text
