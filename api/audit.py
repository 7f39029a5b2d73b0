"""Who did what: a line in the log for each thing that was done, or refused. Never a secret."""

from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import Message, Scope

_log = structlog.get_logger()
ACTIONS = {
    ("POST", "/v1/jobs"): "job.create",
    ("POST", "/v1/jobs/{job_id}/cancel"): "job.cancel",
    ("POST", "/v1/jobs/{job_id}/pause"): "job.pause",
    ("POST", "/v1/jobs/{job_id}/resume"): "job.resume",
    ("POST", "/v1/jobs/{job_id}/extend"): "job.extend",
    ("DELETE", "/v1/jobs/{job_id}"): "job.delete",
    ("GET", "/v1/jobs/{job_id}/model"): "model.download",
    ("POST", "/v1/datasets"): "dataset.upload",
    ("DELETE", "/v1/datasets/{dataset_id}"): "dataset.delete",
}
"""What is told, by method and path."""
UNTOLD = {("POST", "/v1/previews"), ("POST", "/v1/jobs/{job_id}/predictions")}
"""What changes nothing though it is no GET."""


def told(scope: Scope, action: str, *, outcome: str, **facts: Any) -> None:
    """Write one line about a request. `outcome` is done, refused or failed."""
    identity = scope.get("identity")
    _log.info(
        "audit",
        action=action,
        owner=None if identity is None else identity.owner,
        key=None if identity is None else identity.key_id,
        request_id=scope.get("request_id"),
        client=client_of(scope),
        outcome=outcome,
        **facts,
    )


def tell_answer(scope: Scope, start: Message) -> None:
    """Write the line of a request whose answer starts, if its path has one."""
    template = getattr(scope.get("route"), "path", None)
    action = ACTIONS.get((scope["method"], template or ""))
    if action is None:
        return
    status, location = start["status"], Headers(raw=start.get("headers", [])).get("location")
    parameters = scope.get("path_params", {})
    target = parameters.get("job_id") or parameters.get("dataset_id")
    made = None if location is None else location.rsplit("/", 1)[-1]
    outcome = "done" if status < 400 else "refused" if status < 500 else "failed"
    facts = {"made": made} if target is not None and made is not None else {}
    told(scope, action, target=target or made, outcome=outcome, status=status, **facts)


def client_of(scope: Scope) -> str:
    """Give the address that a request comes from."""
    client = scope.get("client")
    return "" if client is None else str(client[0])
