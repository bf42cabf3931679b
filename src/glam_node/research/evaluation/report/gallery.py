"""Small pictures of the best and the worst overlays and of the most confident false positives."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.findings import CHANNELS, FindingKind
from glam_node.research.datasets.labelled import LabelledDataset, LabelledView, Masks
from glam_node.research.evaluation.evaluate_models import Evaluation
from glam_node.research.evaluation.measure.analyse_views import look_at
from glam_node.research.evaluation.measure.image_measures import ImageRow, finding_mask
from glam_node.research.evaluation.measure.tuning import ClassTuning, normal_views
from glam_node.research.models.saliency_model import Mask, Opinion, SaliencyModel

EACH = 3
_HEIGHT = 260
_WIDEST = 260
_WHITE_PERCENTILE = 99.7
_STRONGEST_TINT = 0.75
# Blue, green and red, in OpenCV's order.
_TRUTH_COLOUR = (90, 220, 60)
_FINDING_COLOUR = (255, 220, 60)

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pick:
    """One image to show, with the reason."""

    heading: str
    kind: FindingKind
    view: LabelledView


@dataclass(frozen=True, slots=True)
class Panel:
    """One PNG picture with its caption."""

    caption: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Exhibit:
    """The panels of one image: its outlined lesions, then the result of each model."""

    pick: Pick
    panels: tuple[Panel, ...]


def choose_picks(rows: Sequence[ImageRow], each: int = EACH) -> list[Pick]:
    """Choose for each class the images with the largest and smallest Dice, and normal ones with the highest scores."""
    picks = []
    for kind in CHANNELS:
        outlined = [(overlap, row) for row in rows if (overlap := row.classes[kind].overlap) is not None]
        outlined.sort(key=lambda pair: pair[0].oracle_dice if pair[0].dice is None else pair[0].dice, reverse=True)
        best = outlined[: min(each, (len(outlined) + 1) // 2)]
        worst = outlined[len(best) :][-each:][::-1]
        normal = {view.image_id for view in normal_views([row.view for row in rows], kind)}
        alarming = sorted(
            (row for row in rows if row.view.image_id in normal), key=lambda row: -row.classes[kind].score
        )[:each]
        picks += [Pick(f"{kind}: best", kind, row.view) for _, row in best]
        picks += [Pick(f"{kind}: worst", kind, row.view) for _, row in worst]
        picks += [Pick(f"{kind}: normal images with the highest scores", kind, row.view) for row in alarming]
    return picks


def draw_gallery(
    dataset: LabelledDataset,
    models: Sequence[SaliencyModel],
    evaluation: Evaluation,
    progress: Callable[[str, int, int], None],
    each: int = EACH,
) -> list[Exhibit]:
    """Draw the exhibits; every model analyses each image again."""
    picks = choose_picks(evaluation.models[0].rows, each)
    exhibits = []
    for done, pick in enumerate(picks, start=1):
        panels = tuple(_panels(dataset, pick, models, evaluation))
        exhibits.append(Exhibit(pick, panels))
        progress("drawing", done, len(picks))
    return exhibits


def _panels(
    dataset: LabelledDataset, pick: Pick, models: Sequence[SaliencyModel], evaluation: Evaluation
) -> Iterator[Panel]:
    channel = CHANNELS.index(pick.kind)
    pixels = dataset.read(pick.view).pixels
    box = _box_of_breast(pixels)
    plain = _displayed(pixels[box])
    masks = dataset.masks(pick.view)
    truth = masks[pick.kind][box] if masks else None
    outlined = plain.copy()
    if truth is not None:
        _outline(outlined, truth, _TRUTH_COLOUR)
    yield Panel("outlined" if truth is not None and truth.any() else "image", _png(outlined))
    for model, evaluated in zip(models, evaluation.models, strict=True):
        tuning = evaluated.tuning.classes[channel]

        def draw(
            view: LabelledView,  # noqa: ARG001
            opinion: Opinion,
            masks: Masks | None,  # noqa: ARG001
            tuning: ClassTuning = tuning,
        ) -> Picture:
            return _overlay(plain, opinion, channel, tuning, box)

        seen = look_at(dataset, [pick.view], model, draw, lambda *_: None)
        for picture in seen.rows:
            yield Panel(f"{model.name}: {_said(evaluated.rows, pick)}", _png(picture))
        for failure in seen.failures:
            yield Panel(f"{model.name}: {failure.reason}", _png(plain))


def _said(rows: Iterable[ImageRow], pick: Pick) -> str:
    row = next((row for row in rows if row.view.image_id == pick.view.image_id), None)
    if row is None:
        return "not measured"
    of_class = row.classes[pick.kind]
    dice = of_class.overlap.dice if of_class.overlap else None
    return f"score {of_class.score:.3f}" + ("" if dice is None else f", Dice {dice:.2f}")


def _overlay(plain: Picture, opinion: Opinion, channel: int, tuning: ClassTuning, box: tuple[slice, slice]) -> Picture:
    """Draw saliency as a tint that is stronger where saliency is higher, and findings as lines."""
    saliency = cv2.resize(opinion.saliency[channel][box], plain.shape[1::-1], interpolation=cv2.INTER_AREA)
    tint = cv2.applyColorMap((saliency * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    strength = (_STRONGEST_TINT * saliency)[..., None]
    picture: Picture = np.asarray(plain * (1 - strength) + tint * strength, dtype=np.uint8)
    if tuning.point is not None:
        _outline(picture, finding_mask(opinion, channel, tuning.point)[box], _FINDING_COLOUR)
    return picture


def _box_of_breast(pixels: NDArray[np.uint16]) -> tuple[slice, slice]:
    """Return the smallest box around all pixels but the background; the whole image if there is only background."""
    rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return slice(None), slice(None)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _displayed(pixels: NDArray[np.uint16]) -> Picture:
    lit = pixels[pixels > 0][::7]
    white = max(1.0, float(np.percentile(lit, _WHITE_PERCENTILE))) if lit.size else 1.0
    grey = np.clip(pixels * np.float32(255 / white), 0, 255).astype(np.uint8)
    scale = min(_HEIGHT / pixels.shape[0], _WIDEST / pixels.shape[1])
    size = tuple(max(1, round(side * scale)) for side in pixels.shape[::-1])
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def _outline(picture: Picture, mask: Mask, colour: tuple[int, int, int]) -> None:
    enlarged = cv2.resize(mask.astype(np.uint8) * 255, picture.shape[1::-1], interpolation=cv2.INTER_AREA)
    contours, _ = cv2.findContours((enlarged > 63).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, 1)


def _png(picture: Picture) -> bytes:
    _, encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return bytes(encoded)
