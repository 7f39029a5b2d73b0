"""Files of a model that leaves: one network, or an ensemble with all its members in one."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Literal, assert_never

from api.cards import model_card
from api.choosing import Chosen
from api.dependencies import Resources
from api.ensemble_cards import ensemble_card
from api.ensembles import rows_in_common
from api.errors import ProblemError
from api.kept import KeptModel
from api.views.fits import diagnosis_of, guess_accuracy
from data.dataset import Array
from models.shapes import layers
from training.export import load_safetensors, save_safetensors

Format = Literal["safetensors", "onnx", "zip"]
_LARGEST = 2**27
"""Most parameters of an ensemble that is written as one file: 512 MiB of float32; an ONNX file ends at 2 GiB."""


def model_file(found: Chosen, kind: Format, resources: Resources) -> bytes:
    """Write a model as a file.

    Raises:
        ProblemError: 409 or 404, it is not there; 409 `model_too_large` or `members_differ`, an ensemble that is no one file.
    """
    if found.is_ensemble:
        return _ensemble_file(found, kind, resources)
    [fit] = found.fits
    if kind == "safetensors":
        return resources.models.content(fit)
    model = resources.models.open(found.job.id, fit)
    if kind == "onnx":
        return model.onnx
    return _zipped(
        {
            "model.safetensors": model.content,
            "model.onnx": model.onnx,
            "preparation.json": _json_of(model),
            "labels.json": _labels_of(model),
            "MODEL_CARD.md": card(found, resources).encode(),
        }
    )


def _ensemble_file(found: Chosen, kind: Format, resources: Resources) -> bytes:
    parameters = sum(fit.num_parameters for fit in found.fits)
    if parameters > _LARGEST:
        reason = f"{len(found.fits)} members have {parameters} parameters together; one file holds {_LARGEST}"
        raise ProblemError(409, "model_too_large", f"{reason}: download members by ?fit=n")
    members = list(resources.models.open_all(found.job.id, found.fits))
    rows_in_common([member.preparation for member in members])
    match kind:
        case "safetensors":
            return _joined(found, members)
        case "onnx":
            return _ensemble_onnx(found, members)
        case "zip":
            return _zipped(
                {
                    "model.safetensors": _joined(found, members),
                    "model.onnx": _ensemble_onnx(found, members),
                    **{
                        f"preparations/fit-{number}.json": _json_of(member)
                        for number, member in zip(found.model.fits, members, strict=True)
                    },
                    "votes.json": found.model.model_dump_json(indent=2).encode(),
                    "labels.json": _labels_of(members[0]),
                    "MODEL_CARD.md": card(found, resources).encode(),
                }
            )
        case _:
            assert_never(kind)


def _joined(found: Chosen, members: list[KeptModel]) -> bytes:
    """Write all members' weights into one safetensors file, the names of a member's tensors behind `member_7.` for fit 7."""
    metadata = {"job": found.job.id, "model": found.model.model_dump_json()}
    weights: dict[str, Array] = {}
    for number, member in zip(found.model.fits, members, strict=True):
        prefix = f"member_{number}."
        weights |= {f"{prefix}{name}": values for name, values in load_safetensors(member.content).items()}
        metadata |= {
            f"{prefix}epoch": str(member.epoch),
            f"{prefix}network": member.network.model_dump_json(),
            f"{prefix}preparation": member.preparation.model_dump_json(),
        }
    return save_safetensors(weights, metadata)


def _ensemble_onnx(found: Chosen, members: list[KeptModel]) -> bytes:
    from api.ensemble_graph import ensemble_onnx  # noqa: PLC0415  as in api.kept

    content: bytes = ensemble_onnx(found.job.id, found.model, members).SerializeToString()
    return content


def _json_of(model: KeptModel) -> bytes:
    return model.preparation.model_dump_json(indent=2).encode()


def _labels_of(model: KeptModel) -> bytes:
    return json.dumps(model.preparation.target.labels, ensure_ascii=False).encode()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def card(found: Chosen, resources: Resources) -> str:
    """Write the model card, in Markdown."""
    info = resources.datasets.info(found.job.dataset)
    table = _layer_table(resources.models.open(found.job.id, found.fits[0]))
    if found.is_ensemble:
        return ensemble_card(found, info, table)
    [fit] = found.fits
    return model_card(found.job, fit, info, diagnosis_of(fit, guess_accuracy(info)), table)


def _layer_table(model: KeptModel) -> list[str]:
    outputs = len(model.preparation.target.labels or (None,))
    return ["| layer | kind | output | parameters |", "| --- | --- | --- | --- |"] + [
        f"| {layer.name} | {layer.kind} | {list(layer.output_shape)} | {layer.num_parameters} |"
        for layer in layers(model.network, model.preparation.input_shape, outputs)
    ]
