"""What Prometheus reads: what this process counted itself, and what the database knows of all of them.

Requests are counted in this process only: with several API processes each is to be scraped alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from store.facts import EndedJobs, Facts
from store.workers import EPOCH_BUCKETS, Counts

disable_created_metrics()  # type: ignore[no-untyped-call]  # in this format a gauge beside every counter, whose name ends in no unit
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Measures:
    """What one API process counts."""

    def __init__(self, count_streams: Callable[[], int]) -> None:
        """Begin at zero; `count_streams` tells how many event streams are open."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "holdout_api_requests", "Requests answered by this process.", ["route", "method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "holdout_api_request_seconds",
            "Time from a request to the end of its answer, but for event streams.",
            ["route", "method"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        streams = Gauge("holdout_event_streams", "Event streams open in this process.", registry=self._registry)
        streams.set_function(count_streams)
        ProcessCollector(registry=self._registry)
        self._counted: dict[tuple[str, str, int], Counter] = {}
        self._timed: dict[tuple[str, str], Histogram] = {}

    def request(self, route: str, method: str, status: int, seconds: float, *, is_stream: bool = False) -> None:
        """Count a request; a stream is as long as its job, and no measure of the service."""
        counted = self._counted.get((route, method, status))
        if counted is None:  # looking a label up takes longer than counting
            counted = self._counted[route, method, status] = self._requests.labels(route, method, str(status))
        counted.inc()
        if not is_stream:
            timed = self._timed.get((route, method))
            if timed is None:
                timed = self._timed[route, method] = self._seconds.labels(route, method)
            timed.observe(seconds)

    def text(self, up: Mapping[str, bool], facts: Facts | None, ended: EndedJobs | None) -> bytes:
        """Write all that is known now; without the database only what this process knows."""
        shared = CollectorRegistry()
        shared.register(_Shared(up, facts, ended))
        return generate_latest(self._registry) + generate_latest(shared)


class _Shared(Collector):
    """What the database knows: the same from whichever API process it is read."""

    def __init__(self, up: Mapping[str, bool], facts: Facts | None, ended: EndedJobs | None) -> None:
        self._up = up
        self._facts = facts
        self._ended = ended

    def collect(self) -> Iterable[Metric]:
        """Give the metrics."""
        yield _gauge("holdout_up", "Whether a part of the service does its work.", "component", {k: float(v) for k, v in self._up.items()})
        if self._facts is None:
            return
        yield from _of_jobs(self._facts, self._ended)
        yield from _of_workers(self._facts)


def _of_jobs(facts: Facts, ended: EndedJobs | None) -> Iterable[Metric]:
    yield _gauge("holdout_jobs", "Jobs by status.", "status", facts.active if ended is None else facts.active | ended.counts)
    yield _gauge("holdout_queued_jobs", "Jobs in the queue, by the device they ask for.", "device", facts.queued_by_device)
    if ended is not None:
        yield _gauge("holdout_failed_jobs", "Failed jobs that were not deleted, by kind of failure.", "kind", ended.failures)
    yield GaugeMetricFamily("holdout_oldest_queued_seconds", "Wait of the oldest queued job.", value=facts.oldest_queued_seconds or 0.0)


def _of_workers(facts: Facts) -> Iterable[Metric]:
    yield GaugeMetricFamily("holdout_workers", "Worker processes heard of lately.", value=len(facts.workers))
    yield _gauge("holdout_training_workers", "Worker processes heard of lately that train on a device.", "device", facts.workers_by_device)
    yield GaugeMetricFamily("holdout_sweepers", "Sweepers heard of lately.", value=len(facts.sweepers))
    told = facts.counters
    yield _counter("holdout_fits_ended", "Fits that a worker trained to an end.", told, "fits:", "status")
    yield _epochs(told)
    yield _counter("holdout_lease_losses", "Shards that a worker lost while training.", told, "lease_losses")
    yield _counter("holdout_shards_handed_back", "Shards that a worker handed back when it was to stop or pause.", told, "handed_back")
    yield _counter("holdout_sweeper_rounds", "Rounds of a sweeper.", facts.sweepers, "rounds")
    yield _counter(
        "holdout_sweeper_sent", "Ids that a sweeper sent: unsent ones, forgotten ones, those of dead workers.", facts.sweepers, "sent"
    )


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in sorted(values.items()):
        family.add_metric([value], number)
    return family


def _counter(name: str, text: str, told: Mapping[str, Counts], key: str, label: str | None = None) -> Metric:
    """Give what processes counted under `key`, or under all keys that begin with it where the rest is a label."""
    family = CounterMetricFamily(name, text, labels=["process", *([label] if label else [])])
    for process, counts in sorted(told.items()):
        if label is None:
            family.add_metric([process], counts.get(key, 0))
            continue
        for found in sorted(counts):
            if found.startswith(key):
                family.add_metric([process, found.removeprefix(key)], counts[found])
    return family


def _epochs(told: Mapping[str, Counts]) -> Metric:
    family = HistogramMetricFamily("holdout_epoch_seconds", "Seconds that an epoch of a fit took.", labels=["process"])
    for process, counts in sorted(told.items()):
        buckets = _cumulative([counts.get(f"epochs_within:{limit}", 0) for limit in EPOCH_BUCKETS])
        limits = zip([str(limit) for limit in EPOCH_BUCKETS], buckets, strict=True)
        family.add_metric([process], [*limits, ("+Inf", counts.get("epochs", 0))], counts.get("epoch_seconds", 0))
    return family


def _cumulative(counts: Sequence[float]) -> list[float]:
    return [sum(counts[: place + 1]) for place in range(len(counts))]
