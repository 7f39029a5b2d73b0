"""What every error code says and what to do about it: the catalogue that docs/reference.py writes."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[1]


class Code(NamedTuple):
    """When a code is answered, with which status, and what to do."""

    status: int
    when: str
    todo: str


class Failure(NamedTuple):
    """When a job ends so, and what to do."""

    when: str
    todo: str


CODES: dict[str, Code] = {
    "bad_request": Code(400, "The body cannot be read as what it says it is.", "Send it again whole; mend the encoding or the boundary."),
    "disconnected": Code(400, "The caller went away before its request was complete. It stands in the log only.", "Send it again."),
    "form_cut_short": Code(400, "A multipart form has no end.", "Send it again whole, or give its boundary as it is."),
    "unauthorized": Code(401, "No key, an unknown one, or one that was revoked.", "Send `Authorization: Bearer hk_...`; `holdout keys create` makes one."),
    "foreign_origin": Code(403, "A page of another site wants to write, without a key.", "Name its origin in `HOLDOUT_CORS_ORIGINS`, or send a key."),
    "model_missing": Code(404, "The stored weights are gone.", "Run the job again."),
    "not_found": Code(404, "No such path, or nothing of yours has this id.", "List what there is. Another owner's ids answer so, too."),
    "method_not_allowed": Code(405, "The path does not take this method.", "`Allow` names those it takes."),
    "not_acceptable": Code(406, "`Accept` asks for a form that there is none of.", "Ask for one of those that `detail` names."),
    "built_in": Code(409, "A built-in dataset cannot be deleted.", "Leave it."),
    "cannot_extend": Code(409, "The plan's later fits follow from what earlier ones came to.", "Submit a new job with more epochs."),
    "checkpoint_lost": Code(409, "A file that the old job left is gone.", "Submit a new job with more epochs."),
    "dataset_deleted": Code(409, "The dataset was deleted while the request ran.", "Upload it again and name the new id."),
    "dataset_in_use": Code(409, "Jobs use this dataset.", "Delete them first: `GET /v1/jobs?dataset=ID` lists them."),
    "job_active": Code(409, "The job has not ended.", "Cancel it, or wait."),
    "job_cancelling": Code(409, "The job is about to be cancelled.", "Wait for its end."),
    "job_ended": Code(409, "The job has ended, or stands as the order would not have it.", "Read its `status`; extend it to train on."),
    "members_differ": Code(409, "Members of an ensemble read different rows.", "Name a member: `?fit=n`."),
    "model_too_large": Code(409, "The ensemble is too large for one file.", "Download its members: `?fit=n`."),
    "no_model": Code(409, "The fit has kept no weights.", "Wait for its end, or name another fit."),
    "no_preparation": Code(409, "The model was stored before preparations were.", "Run the job again."),
    "no_result": Code(409, "The plan has not concluded.", "Wait until the job has `succeeded`."),
    "no_single_model": Code(409, "The plan leaves no model, or none yet.", "Name a fit: `?fit=n`."),
    "nothing_to_extend": Code(409, "No fit would train further.", "As `detail` says: more patience, a smaller learning rate, or a new job."),
    "rows_changed": Code(409, "The dataset's rows are not those that the old job was trained on.", "Submit a new job."),
    "several_preparations": Code(409, "Every member of the ensemble has a preparation of its own.", "Name a member: `?fit=n`."),
    "unavailable": Code(409, "The files of the built-in dataset are not installed.", "Install what its `unavailable_reason` names."),
    "body_too_large": Code(413, "The body is larger than allowed.", "`GET /v1/limits` tells how large it may be."),
    "not_a_form": Code(415, "The upload is no multipart form.", "Send it as `curl -F file=@table.csv` does."),
    "not_json": Code(415, "The body is not declared as JSON.", "Send `Content-Type: application/json`."),
    "idempotency_key_reused": Code(422, "This `Idempotency-Key` came before with another body.", "Use a new key for a new request."),
    "invalid_json": Code(422, "The body is not JSON: NaN, Infinity and repeated keys are none.", "Mend it where `detail` says."),
    "invalid_request": Code(422, "A field or parameter is unknown, missing, of a wrong type or out of bounds.", "Mend what each of `errors` points to."),
    "invalid_rows": Code(422, "Rows to predict do not fit what the model reads.", "Send columns as they were uploaded; `GET .../preparation` lists them."),
    "invalid_spec": Code(422, "Each field is well formed, but the job cannot be run so.", "Mend what each of `errors` points to; `POST /v1/previews` tries it for free."),
    "invalid_upload": Code(422, "The file, or its schema, cannot be used.", "Mend the row, column or field that `errors` names."),
    "busy": Code(429, "Too many uploads are being read.", "Send it again after `Retry-After` seconds."),
    "queue_full": Code(429, "Too many jobs wait already.", "Send it again after `Retry-After` seconds."),
    "too_many_requests": Code(429, "The key, or the address, sent too many requests in a minute.", "Wait `Retry-After` seconds; poll with ETags, or follow events."),
    "too_many_streams": Code(429, "Too many event streams are open.", "Poll with the ETag instead, or close some."),
    "internal": Code(500, "A fault of the service.", "Tell who runs it the `request_id`: the log has the reason."),
    "artifacts_unavailable": Code(503, "The store of files is away.", "Send it again after `Retry-After` seconds."),
    "database_unavailable": Code(503, "The database is away.", "Send it again after `Retry-After` seconds."),
}  # fmt: skip
"""By code."""

FAILURES: dict[str, Failure] = {
    "invalid_data": Failure("The rows are not what the spec was checked against.", "Upload the data again, and submit the job anew."),
    "diverged": Failure("The loss, or a gradient, stopped being finite in a fit that the plan needs.", "Lower the learning rate to a tenth, clip gradients, or warm up."),
    "out_of_memory": Failure("The job's process took more memory than it may.", "Make network or batch smaller, or raise `HOLDOUT_MAX_MEMORY_BYTES`."),
    "time_limit": Failure("`time_limit_seconds`, or the service's own limit, is over. The best weights so far are kept.", "Download them, extend the job, or give it more time."),
    "worker_lost": Failure("Workers died on it three times without getting on.", "Look at the workers' log; send it again."),
    "internal": Failure("A fault of the service.", "Tell who runs it the job's id: the log has the reason."),
}  # fmt: skip
"""By kind."""

_CODE_AT = {"ProblemError": 1, "problem": 2, "_answer": 2, "Conflict": 0, "CannotExtend": 0}
"""Which argument of these calls is the code of a whole answer."""
_AREAS = {"Specs": ("jobs", "models", "data/splits", "data/preprocessing"), "Uploads": ("data/uploads",), "Requests": ("api",)}


def answered() -> set[str]:
    """Collect every code that the source answers a whole request with."""
    found: set[str] = set()
    for folder in ("api", "jobs", "store"):
        for call, name in _calls(folder):
            place = _CODE_AT.get(name)
            if place is not None and len(call.args) > place:
                found |= _texts(call.args[place])
    return found


def faults() -> dict[str, list[str]]:
    """Collect the codes of single faults of the source, by area."""
    found: dict[str, set[str]] = {area: set() for area in _AREAS}
    for area, folders in _AREAS.items():
        for folder in folders:
            for call, name in _calls(folder):
                if name == "Problem" and len(call.args) > 1:
                    found[area] |= _texts(call.args[1])
                if name == "problem" and folder == "models" and len(call.args) > 2:  # models/shapes.py: message, field, code
                    found[area] |= _texts(call.args[2])
                if name.endswith(("Problem", "ProblemDetail")):
                    found[area].update(*(_texts(one.value) for one in call.keywords if one.arg == "code"))
    return {area: sorted(codes) for area, codes in found.items()}


def _calls(folder: str) -> Iterator[tuple[ast.Call, str]]:
    for path in sorted((_ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node, node.func.id


def _texts(node: ast.expr) -> set[str]:
    """Give the words of an argument: one, or those of both branches of a condition."""
    if isinstance(node, ast.IfExp):
        return _texts(node.body) | _texts(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()
