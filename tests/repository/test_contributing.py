"""'Add an optimizer in five minutes' is followed to the letter, in a copy of the rooms it touches."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
from tests.training.small import a_fit, run
from training.optimizers.spec import LionSpec
from api.techniques import techniques
import torch
from training.optimizers.build import build

weights = torch.ones(1, 64, dtype=torch.float64)
build([LionSpec(name="lion")], weights, torch.ones(64)).update(weights, weights.clone(), [0.1], slice(0, 1))
assert torch.allclose(weights, torch.full_like(weights, 0.9)), weights
curves, outcomes = run(a_fit(optimizer={"name": "lion", "learning_rate": 0.01}, training={"max_epochs": 5}))
assert outcomes[1].status == "finished"
assert curves[1][-1].train_loss < curves[1][0].train_loss
assert "lion" in [one.name for one in techniques()]
"""


def _insert(path: Path, before: str, block: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1, (path, before)
    path.write_text(text.replace(before, block + before))


def test_the_steps_of_the_guide_add_an_optimizer(tmp_path: Path) -> None:
    for room in ("api", "data", "jobs", "models", "store", "training", "tests"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    found = re.findall(r"```python\n# (training/optimizers/\w+\.py)(?:, (.*?))?\n(.*?)```", guide, re.DOTALL)
    blocks = {(file, place): block for file, place, block in found}
    assert len(blocks) == 4

    spec = tmp_path / "training/optimizers/spec.py"
    union = re.search(r"^OptimizerSpec = Annotated\[\n.*?^\]", spec.read_text(), re.MULTILINE | re.DOTALL)
    assert union is not None
    spec.write_text(spec.read_text().replace(union.group(0), blocks["training/optimizers/spec.py", ""].rstrip()))

    build = tmp_path / "training/optimizers/build.py"
    _insert(build, "    MomentumSpec,\n", blocks["training/optimizers/build.py", "among the imports"])
    _insert(
        build,
        "\n        case _:\n            assert_never(spec)\n",
        "\n" + blocks["training/optimizers/build.py", "in _initial_state"].rstrip(),
    )
    _insert(
        build,
        "\n            case _:\n                assert_never(spec)\n",
        "\n" + blocks["training/optimizers/build.py", "in _update"].rstrip(),
    )

    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
