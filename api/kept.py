"""Kept models, opened: weights, the network they belong to, and how its rows are prepared. Run by ONNX Runtime, without torch."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter

from api.errors import ProblemError
from data.dataset import Array
from data.preprocessing.state import Preparation
from models.spec import NetworkSpec
from store.artifacts import Artifacts
from store.fits import FitState
from training.export import load_safetensors, safetensors_metadata

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_NETWORK: TypeAdapter[NetworkSpec] = TypeAdapter(NetworkSpec)
_OPEN_BYTES = 256 * 2**20
"""What open models may hold together; the one used last stays open whatever its size."""
_SESSION_BYTES = 2**20
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, kw_only=True)
class KeptModel:
    """A fit's kept model. `content` is its safetensors file, `epoch` the epoch whose weights it holds."""

    content: bytes
    network: NetworkSpec
    preparation: Preparation
    epoch: int

    @property
    def num_bytes(self) -> int:
        """Estimate the memory it takes: the file, and the weights again in a session."""
        return 2 * len(self.content) + _SESSION_BYTES

    @property
    def onnx(self) -> bytes:
        """Write the network as ONNX, from prepared rows to logits and probabilities or a standardised number."""
        from models.graph import onnx_model  # noqa: PLC0415  ONNX and its runtime take 30 MB, and most processes open no model

        target = self.preparation.target
        graph = onnx_model(
            self.network,
            self.preparation.input_shape,
            len(target.labels or (None,)),
            load_safetensors(self.content),
            task=target.task,
            metadata=safetensors_metadata(self.content),
        )
        content: bytes = graph.SerializeToString()
        return content

    def outputs(self, prepared: Array) -> Array:
        """Give probabilities [n, classes], or numbers [n] in original units, for prepared rows [n, *input_shape]."""
        target = self.preparation.target
        name = "probabilities" if target.task == "classification" else "standardized"
        rows = prepared.astype(np.float32)
        parts = [self._session.run([name], {"rows": rows[at : at + _ROWS_AT_ONCE]})[0] for at in range(0, len(rows), _ROWS_AT_ONCE)]
        found: Array = np.concatenate(parts).astype(np.float64)
        return found if target.task == "classification" else found[:, 0] * target.scale + target.offset

    @cached_property
    def _session(self) -> "InferenceSession":
        from onnxruntime import InferenceSession, SessionOptions  # noqa: PLC0415  as above

        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # requests run beside one another
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False  # what rows took is given back: many sessions stay open
        return InferenceSession(self.onnx, options, providers=["CPUExecutionProvider"])


class KeptModels:
    """Opens kept models; those used last stay open, as many as `open_bytes` hold."""

    def __init__(self, artifacts: Artifacts, open_bytes: int = _OPEN_BYTES) -> None:
        """Look into artifacts; nothing is opened yet."""
        self._artifacts = artifacts
        self._open_bytes = open_bytes
        self._lock = threading.Lock()
        self._open: OrderedDict[str, KeptModel] = OrderedDict()

    def content(self, fit: FitState) -> bytes:
        """Read a fit's safetensors file.

        Raises:
            ProblemError: 409 or 404, it has kept none, or the file is gone.
        """
        if fit.weights_url is None:
            raise ProblemError(409, "no_model", f"fit {fit.number} is {fit.status.value} and has kept no weights")
        try:
            return self._artifacts.read(fit.weights_url)
        except FileNotFoundError:
            raise ProblemError(404, "model_missing", "the stored weights are gone") from None

    def open_all(self, job_id: str, fits: Sequence[FitState]) -> Iterator[KeptModel]:
        """Open members one after another. Those of an ensemble too large to stay open are let go, and push nobody else out.

        Raises:
            ProblemError: as `open`.
        """
        expected = sum(2 * 4 * fit.num_parameters + _SESSION_BYTES for fit in fits)
        for fit in fits:
            yield self.open(job_id, fit, stays=expected <= self._open_bytes)

    def open(self, job_id: str, fit: FitState, *, stays: bool = True) -> KeptModel:
        """Open a fit's kept model. It `stays` open for the next who asks.

        Raises:
            ProblemError: as `content`; 409, it was stored before preparations were.
        """
        key = f"{job_id}/{fit.number}"
        with self._lock:
            if key in self._open and fit.weights_url is not None:
                self._open.move_to_end(key)
                return self._open[key]
        content = self.content(fit)
        metadata = safetensors_metadata(content)
        if "preparation" not in metadata:
            raise ProblemError(409, "no_preparation", "this model was stored before preparations were: run the job again")
        opened = KeptModel(
            content=content,
            network=_NETWORK.validate_json(metadata["network"]),
            preparation=Preparation.model_validate_json(metadata["preparation"]),
            epoch=int(metadata["epoch"]),
        )
        if stays:
            with self._lock:
                self._open[key] = opened
                self._open.move_to_end(key)
                self._close_oldest()
        return opened

    def _close_oldest(self) -> None:
        total = sum(model.num_bytes for model in self._open.values())
        while total > self._open_bytes and len(self._open) > 1:
            total -= self._open.popitem(last=False)[1].num_bytes
