"""Event files, as TensorBoard itself reads them."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from holdout.exports.tensorboard import write_tensorboard
from holdout.exports.told import moments
from tests.handed_on import a_told_job


def read(folder: Path) -> EventAccumulator:
    """Read a run whole."""
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return found


def scalars(folder: Path, tag: str) -> list[tuple[int, float, float]]:
    """List steps, moments and values of a tag."""
    return [(one.step, one.wall_time, one.value) for one in read(folder).Scalars(tag)]


@pytest.fixture
def fit(tmp_path: Path) -> Path:
    """Export a job of one fit; give the fit's folder."""
    write_tensorboard(*a_told_job(), tmp_path)
    return tmp_path / "job_01" / "fit-1-holdout"


def test_training_and_validation_are_runs_with_the_same_tags(fit: Path) -> None:
    for split in ("train", "val"):
        assert read(fit / split).Tags()["scalars"] == ["loss", "accuracy"]
    assert set(read(fit).Tags()["scalars"]) == {
        "gap", "accuracy_gap", "objective", "learning_rate", "best/train_loss", "best/val_loss",
    }  # fmt: skip


def test_values_come_back_as_float32_at_their_epochs_and_moments(fit: Path) -> None:
    job, _, curves = a_told_job()
    curve = curves["fits"][0]
    times = moments(job, curve)
    assert scalars(fit / "train", "loss") == [(i, times[i], float(np.float32(value))) for i, value in enumerate(curve["train_loss"])]
    assert scalars(fit, "best/val_loss") == [(2, times[2], float(np.float32(1 / 3)))]


def test_an_epoch_without_a_value_has_no_point(fit: Path) -> None:
    """In charts it would be 0 (lanpa/tensorboardX#668)."""
    assert [(step, value) for step, _, value in scalars(fit / "val", "loss")] == [
        (0, float(np.float32(2.2))),
        (2, float(np.float32(1 / 3))),
    ]
    assert [step for step, _, _ in scalars(fit, "gap")] == [0, 2]
    assert [step for step, _, _ in scalars(fit, "learning_rate")] == [1, 2]


def test_each_fit_has_its_settings_for_the_page_of_hyperparameters(tmp_path: Path) -> None:
    write_tensorboard(*a_told_job(("fold 1", "a/b: c")), tmp_path)
    found = {}
    for folder in (tmp_path / "job_01").iterdir():
        metadata = read(folder).SummaryMetadata("_hparams_/session_start_info")
        settings = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info.hparams
        found[folder.name] = {name: value.number_value or value.string_value for name, value in settings.items()}
    assert found["fit-1-fold-1"]["optimizer.learning_rate"] == 0.001
    assert found["fit-2-a-b-c"]["optimizer.learning_rate"] == 0.5
    assert found["fit-1-fold-1"]["network.hidden_units"] == "[16, 8]"
    assert found["fit-1-fold-1"]["training.gradient_clip_norm"] == "null"


def test_a_fits_folder_has_its_label_in_any_script(tmp_path: Path) -> None:
    write_tensorboard(*a_told_job(("한글 변형", "é" * 300)), tmp_path)
    first, second = sorted(folder.name for folder in (tmp_path / "job_01").iterdir())
    assert first == "fit-1-한글-변형"
    assert second.startswith("fit-2-éé")


def test_a_second_export_replaces_the_first_and_nothing_else(tmp_path: Path) -> None:
    told = a_told_job()
    write_tensorboard(*told, tmp_path)
    foreign = tmp_path / "job_01" / "fit-1-holdout" / "events.out.tfevents.1.elsewhere"
    foreign.write_bytes(b"")
    runs = write_tensorboard(*told, tmp_path)
    assert foreign.exists()
    foreign.unlink()
    assert [len(list(run.glob("events.*"))) for run in runs] == [1, 1, 1]
    assert len(scalars(runs[0] / "train", "loss")) == 3


def test_a_fit_without_epochs_is_left_out(tmp_path: Path) -> None:
    job, fits, curves = a_told_job(("a", "b"))
    curves["fits"][1] = {"number": 2, "label": "b", "epoch": [], "train_loss": [], "seconds": [], "best_epoch": None, "last_epoch": None}
    fits["items"][1] |= {"best": None, "best_epoch": None}
    assert len(write_tensorboard(job, fits, curves, tmp_path)) == 3
    assert [folder.name for folder in (tmp_path / "job_01").iterdir()] == ["fit-1-a"]
