"""Handing a job's shards to the queue once they are committed."""

import contextlib
from collections.abc import Sequence

from api.dependencies import Resources
from store.errors import DatabaseUnavailable
from store.sweeping import mark_sent


def send_shards(shard_ids: Sequence[str], device: str, resources: Resources) -> None:
    """Hand shards to the queue. The job is committed: whatever fails from here on is made good by the sweeper."""
    sent = [shard_id for shard_id in shard_ids if resources.queue.send(shard_id, device)]
    if sent:
        # A shard that was sent and is not marked is sent again; its claim lets one delivery work.
        with contextlib.suppress(DatabaseUnavailable):
            mark_sent(resources.db, sent)


def send_first(shard_ids: Sequence[str], device: str, resources: Resources) -> None:
    """Hand a new job's shards to the queue. That a single one was sent is noted in a moment, with those of other requests.

    Of several, whoever ends one looks for those that were not sent: these are noted at once.
    """
    if len(shard_ids) != 1:
        send_shards(shard_ids, device, resources)
    elif resources.queue.send(shard_ids[0], device):
        resources.sent.add(shard_ids[0])
