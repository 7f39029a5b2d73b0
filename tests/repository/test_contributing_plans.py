"""'Add a plan in ten minutes' is followed to the letter, in a copy of the rooms it touches."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
from data import builtin
from tests.plans import real, resolved, run

iris = builtin.load("iris")
spec = resolved(iris, plan={"name": "seeds", "repeats": 3}, training={"max_epochs": 2}, evaluation={"resamples": 100}).spec
ran = run(spec, iris, real(iris))
assert ran.result["plan"] == "seeds"
assert ran.result["summary"]["val_loss"]["count"] == 3
assert ran.result["summary"]["val_loss"]["std"] > 0
assert len({fit.row_hash for fit in ran.planned.values()}) == 1
"""


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new))


def test_the_steps_of_the_guide_add_a_plan(tmp_path: Path) -> None:
    for room in ("data", "jobs", "models", "store", "training", "tests"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    blocks = {
        (file, place): block
        for file, place, block in re.findall(r"```python\n# (jobs/plans/[\w/]+\.py)(?:, (.*?))?\n(.*?)```", guide, re.DOTALL)
    }
    assert len(blocks) == 5
    plans = tmp_path / "jobs" / "plans"
    (plans / "seeds").mkdir()
    (plans / "seeds" / "__init__.py").touch()
    for name in ("spec", "result", "plan"):
        (plans / "seeds" / f"{name}.py").write_text(blocks[f"jobs/plans/seeds/{name}.py", ""])
    imported = "from jobs.plans.seeds.spec import SeedsPlanSpec\n"
    _replace(plans / "spec.py", "    | LearningCurvePlanSpec,\n", "    | LearningCurvePlanSpec\n    | SeedsPlanSpec,\n")
    before = "from jobs.plans.search.spec import SearchPlanSpec\n"
    _replace(plans / "spec.py", before, before + imported)
    end = "        case _:\n            assert_never(spec.plan)\n"
    _replace(plans / "replay.py", end, blocks["jobs/plans/replay.py", "in start"] + end)
    _replace(plans / "replay.py", before, f"{before}from jobs.plans.seeds.plan import plan as seeds_plan\n{imported}")
    _replace(plans / "problems.py", end, blocks["jobs/plans/problems.py", "in plan_problems"] + end)
    _replace(plans / "problems.py", before, f"{before}{imported}from jobs.plans.undivided import division_problems\n")

    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
