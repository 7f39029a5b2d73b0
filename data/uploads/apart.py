"""Large files are read in a process of their own: the memory that takes is given back whole, and what ends it ends no service."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter

from data.uploads.ingest import ingest
from data.uploads.ingested import Ingested
from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem
from data.uploads.spec import UploadSpec

_REQUEST, _ANSWER = "request.json", "answer.json"
_LONGEST_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class _Request:
    spec: UploadSpec
    limits: UploadLimits


@dataclass(frozen=True, kw_only=True)
class _Fault:
    message: str
    code: str
    pointer: str


@dataclass(frozen=True, kw_only=True)
class _Answer:
    ingested: Ingested | None = None
    fault: _Fault | None = None


_REQUESTS, _ANSWERS = TypeAdapter(_Request), TypeAdapter(_Answer)


def ingest_apart(file: BinaryIO, spec: UploadSpec, folder: Path, limits: UploadLimits) -> Ingested:
    """Do as `ingest`, in another process; `file` is one of the system's.

    Raises:
        UploadProblem: it cannot become a dataset, or reading it ended the process that did.
        RuntimeError: an error of the program's own; standard error has its trace.
    """
    (folder / _REQUEST).write_bytes(_REQUESTS.dump_json(_Request(spec=spec, limits=limits)))
    try:
        ended = subprocess.run([sys.executable, "-m", __name__, str(folder)], stdin=file, timeout=_LONGEST_SECONDS, check=False)  # noqa: S603  our own module
    except subprocess.TimeoutExpired as error:
        raise UploadProblem(f"reading the file took longer than {_LONGEST_SECONDS} s", code="took_too_long") from error
    if ended.returncode < 0:
        message = "reading the file ended the process that did: it takes more memory than there is; send fewer rows or columns"
        raise UploadProblem(message, code="reading_ended")
    if ended.returncode > 0:
        raise RuntimeError(f"reading an upload failed with status {ended.returncode}")
    answer = _ANSWERS.validate_json((folder / _ANSWER).read_bytes())
    if answer.fault is not None:
        raise UploadProblem(answer.fault.message, code=answer.fault.code, pointer=answer.fault.pointer)
    if answer.ingested is None:
        raise RuntimeError("reading an upload gave no answer")
    return answer.ingested


def _main(folder: Path) -> None:
    request = _REQUESTS.validate_json((folder / _REQUEST).read_bytes())
    with os.fdopen(0, "rb") as file:
        try:
            answer = _Answer(ingested=ingest(file, request.spec, folder, request.limits))
        except UploadProblem as problem:
            answer = _Answer(fault=_Fault(message=str(problem), code=problem.code, pointer=problem.pointer))
    (folder / _ANSWER).write_bytes(_ANSWERS.dump_json(answer))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
