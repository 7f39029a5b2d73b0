"""Names, units and labels of `/metrics`, held against Prometheus's conventions (prometheus.io/docs/practices/naming)."""

import re

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from store.engine import Database
from store.workers import beat, sweeper_id
from tests.api.conftest import StrictClient
from tests.factories import a_diverged_job, a_job, a_succeeded_job

LABELS = {"component", "status", "kind", "device", "process", "route", "method"}
"""`process` is a worker or sweeper that is heard of, as `instance` is: as many as there are. All others have fixed values."""
SERIES_LABELS = LABELS | {"le"}
UNITS = {"seconds", "bytes", "ratio"}
NO_BASE_UNITS = {
    "ms", "us", "ns", "milliseconds", "microseconds", "minutes", "hours", "days", "kb", "mb", "kilobytes", "megabytes", "kib", "mib", "percent",
}  # fmt: skip
TYPES = {"gauge", "counter", "histogram", "summary", "metric"}


def _read(client: StrictClient, db: Database) -> tuple[str, list[Metric]]:
    """Give what is told where everything has happened: the text, and our own families of it."""
    job_id = a_succeeded_job(db)
    a_job(db)
    a_diverged_job(db)
    epochs: dict[str, float] = {"epochs": 1, "epoch_seconds": 0.4, "epochs_within:0.3": 1}
    beat(db, "w/1", ["cpu"], {}, {"fits:finished": 1, "lease_losses": 1, "handed_back": 1, **epochs})
    beat(db, sweeper_id("h.1"), [], {}, {"rounds": 7, "sent": 2})
    for path in (f"/v1/jobs/{job_id}", "/nowhere", f"/v1/jobs/{job_id}/fits/1?x=1"):
        client.get(path)
    client.request("BREW", "/healthz")
    text = client.get("/metrics").text
    return text, [family for family in text_string_to_metric_families(text) if family.name.startswith("holdout_")]


@pytest.fixture
def told(lite_client: StrictClient, sqlite_db: Database) -> tuple[str, list[Metric]]:
    return _read(lite_client, sqlite_db)


def test_every_metric_has_one_prefix_a_type_and_a_sentence(told: tuple[str, list[Metric]]) -> None:
    text, families = told
    assert len(families) >= 15
    for family in families:
        assert re.fullmatch(r"holdout(_[a-z][a-z0-9]*)+", family.name), family.name
        assert family.type in {"gauge", "counter", "histogram"}, family.name
        assert family.documentation.endswith("."), family.name
    names = re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)
    assert len(names) == len(set(names))
    assert all(name.startswith(("holdout_", "process_")) for name in names)


def test_counters_and_they_alone_end_in_total(told: tuple[str, list[Metric]]) -> None:
    kinds = dict(re.findall(r"^# TYPE (holdout_\S+) (\S+)$", told[0], re.MULTILINE))
    for name, kind in kinds.items():
        assert name.endswith("_total") == (kind == "counter"), name
        assert not name.endswith(("_count", "_sum", "_bucket", "_info")), name


def test_units_are_base_units_and_stand_last(told: tuple[str, list[Metric]]) -> None:
    for family in told[1]:
        words = family.name.removesuffix("_total").split("_")
        assert not NO_BASE_UNITS & set(words), family.name
        assert not UNITS & set(words[:-1]), family.name
        assert not TYPES & set(words), family.name
        if family.type == "histogram":
            assert words[-1] in UNITS, family.name


def test_names_do_not_repeat_their_labels(told: tuple[str, list[Metric]]) -> None:
    """`workers_by_device{device}` would be a lie once it is summed over devices."""
    for family in told[1]:
        labels = {name for sample in family.samples for name in sample.labels}
        assert labels <= SERIES_LABELS, family.name
        assert not {word for label in labels for word in (label, f"{label}s")} & set(family.name.split("_")), family.name


def test_no_label_holds_what_grows_with_jobs_or_what_a_client_made_up(told: tuple[str, list[Metric]]) -> None:
    values = {(name, value) for family in told[1] for sample in family.samples for name, value in sample.labels.items()}
    assert not [value for _, value in values if re.search(r"(job|ds|fit|shard|req)_[0-9a-z]{6}", value)]
    assert not {("method", "BREW"), ("route", "/nowhere")} & values
    assert {"route", "method", "status", "process", "kind"} <= {name for name, _ in values}
