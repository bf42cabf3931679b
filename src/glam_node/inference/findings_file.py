"""The findings file: findings in one versioned file, so that results can be written again without the model."""

import json
import math
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import InferenceError
from glam_node.inference.findings import (
    AlgorithmIdentification,
    Finding,
    FindingKind,
    Findings,
    ImageFindings,
    SaliencyMap,
)
from glam_node.inference.mammogram import Laterality, ViewPosition

FORMAT_VERSION = 1


def encode_findings(findings: Findings) -> bytes:
    """Return `findings` as the bytes of a file: an npz of JSON, bit-packed masks and saliency maps."""
    masks = [np.packbits(finding.mask) for image in findings.images for finding in image.findings]
    maps = [image.saliency.values.ravel() for image in findings.images if image.saliency is not None]
    meta = json.dumps({"format_version": FORMAT_VERSION, **_study(findings)})
    encoded = BytesIO()
    np.savez_compressed(
        encoded,
        meta=np.frombuffer(meta.encode("utf-8"), np.uint8),
        masks=np.concatenate([*masks, np.empty(0, np.uint8)]),
        saliency=np.concatenate([*maps, np.empty(0, np.uint8)]),
    )
    return encoded.getvalue()


def read_findings(path: Path) -> Findings:
    """Return the findings in a file that `encode_findings` made.

    Raises:
        FileNotFoundError: The file does not exist.
        InferenceError: The file is damaged, or of another kind or version.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            meta = json.loads(archive["meta"].tobytes().decode("utf-8"))
            packed = archive["masks"]
            saliency = archive["saliency"] if "saliency" in archive else np.empty(0, np.uint8)
        if meta["format_version"] != FORMAT_VERSION:
            raise InferenceError(
                f"{path} has findings format {meta['format_version']}; this version reads {FORMAT_VERSION}."
            )
        return _study_from(meta, _Reader(packed, saliency))
    except (InferenceError, FileNotFoundError):
        raise
    except Exception as error:  # zipfile, numpy, json and the look-ups below each raise their own types for damage
        raise InferenceError(f"{path} is not a readable findings file ({type(error).__name__}).") from error


def _study(findings: Findings) -> dict[str, Any]:
    algorithm = findings.algorithm
    return {
        "study_instance_uid": findings.study_instance_uid,
        "algorithm": {
            "algorithm_name": algorithm.algorithm_name,
            "algorithm_version": algorithm.algorithm_version,
            "weights_sha256": algorithm.weights_sha256,
            "trained": algorithm.trained,
            "parameters": list(algorithm.parameters),
        },
        "images": [_image(image) for image in findings.images],
        "stage_seconds": list(findings.stage_seconds),
    }


def _image(image: ImageFindings) -> dict[str, Any]:
    return {
        "sop_instance_uid": image.sop_instance_uid,
        "image_laterality": image.image_laterality.value,
        "view_position": image.view_position.value,
        "shape": list(image.shape),
        "benign_score": image.benign_score,
        "malignant_score": image.malignant_score,
        "failure": image.failure,
        "remarks": list(image.remarks),
        "saliency": _saliency(image.saliency),
        "findings": [
            {
                "kind": finding.kind.value,
                "score": finding.score,
                "origin": list(finding.origin),
                "mask_shape": list(finding.mask.shape),
            }
            for finding in image.findings
        ],
    }


def _saliency(saliency: SaliencyMap | None) -> dict[str, Any] | None:
    if saliency is None:
        return None
    return {
        "shape": list(saliency.values.shape),
        "step": saliency.step,
        "origin": list(saliency.origin),
        "box": list(saliency.box),
    }


class _Reader:
    """Reader of masks and saliency maps, which it returns in the order in which they were written."""

    def __init__(self, packed: NDArray[np.uint8], saliency: NDArray[np.uint8]) -> None:
        self._packed = packed
        self._mask_offset = 0
        self._saliency = saliency
        self._map_offset = 0

    def map(self, stated: dict[str, Any] | None) -> SaliencyMap | None:
        if stated is None:
            return None
        shape = tuple(stated["shape"])
        size = math.prod(shape)
        values = self._saliency[self._map_offset : self._map_offset + size].reshape(shape)
        self._map_offset += size
        top, left, bottom, right = stated["box"]
        return SaliencyMap(values, stated["step"], _pair(stated["origin"]), (top, left, bottom, right))

    def mask(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        count = shape[0] * shape[1]
        size = -(-count // 8)
        part = self._packed[self._mask_offset : self._mask_offset + size]
        self._mask_offset += size
        return np.unpackbits(part, count=count).reshape(shape).astype(np.bool_)


def _study_from(meta: dict[str, Any], reader: _Reader) -> Findings:
    algorithm = dict(meta["algorithm"])
    algorithm["parameters"] = _pairs(algorithm["parameters"])
    return Findings(
        study_instance_uid=meta["study_instance_uid"],
        algorithm=AlgorithmIdentification(**algorithm),
        images=tuple(_image_from(image, reader) for image in meta["images"]),
        stage_seconds=_pairs(meta["stage_seconds"]),
    )


def _pairs(values: list[list[Any]]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, value) for name, value in values)


def _image_from(image: dict[str, Any], reader: _Reader) -> ImageFindings:
    return ImageFindings(
        sop_instance_uid=image["sop_instance_uid"],
        image_laterality=Laterality(image["image_laterality"]),
        view_position=ViewPosition(image["view_position"]),
        shape=_pair(image["shape"]),
        benign_score=image["benign_score"],
        malignant_score=image["malignant_score"],
        findings=tuple(_finding_from(finding, reader) for finding in image["findings"]),
        failure=image["failure"],
        remarks=tuple(image["remarks"]),
        saliency=reader.map(image.get("saliency")),
    )


def _finding_from(finding: dict[str, Any], reader: _Reader) -> Finding:
    return Finding(
        kind=FindingKind(finding["kind"]),
        score=finding["score"],
        origin=_pair(finding["origin"]),
        mask=reader.mask(_pair(finding["mask_shape"])),
    )


def _pair(values: list[int]) -> tuple[int, int]:
    first, second = values
    return first, second
