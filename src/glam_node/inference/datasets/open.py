"""Data sets by name: what commands and recipes call them."""

import inspect
from collections.abc import Callable
from pathlib import Path

from glam_node.inference.datasets.cbis_ddsm import open_cbis_ddsm
from glam_node.inference.datasets.cmmd import open_cmmd
from glam_node.inference.datasets.folder import open_folder
from glam_node.inference.datasets.inbreast import open_inbreast
from glam_node.inference.datasets.labelled import LabelledDataset
from glam_node.inference.datasets.nyu import open_nyu
from glam_node.inference.datasets.phantoms import open_phantoms
from glam_node.inference.datasets.problems import DatasetError
from glam_node.inference.datasets.vindr_mammo import open_vindr_mammo

_LOADERS: dict[str, Callable[..., LabelledDataset]] = {
    "folder": open_folder,
    "cbis-ddsm": open_cbis_ddsm,
    "inbreast": open_inbreast,
    "vindr-mammo": open_vindr_mammo,
    "cmmd": open_cmmd,
    "nyu": open_nyu,
    "phantoms": open_phantoms,
}
KINDS = tuple(_LOADERS)


def open_dataset(kind: str, path: Path | str, **options: object) -> LabelledDataset:
    """The data set of this kind (KINDS) at `path`, with the keyword options of its loader.

    For "nyu" `path` is the exam list, for "phantoms" the range of seeds, "first:end". Nothing is read before the views
    are asked for. Raises DatasetError for a kind or option that is not known; the message lists those that are.
    """
    loader = _LOADERS.get(kind)
    if loader is None:
        raise DatasetError(f"There is no data set kind {kind!r}. The kinds are: {', '.join(KINDS)}.")
    known = [
        name
        for name, parameter in inspect.signature(loader).parameters.items()
        if parameter.kind.name == "KEYWORD_ONLY"
    ]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise DatasetError(f"{kind} has no option {', '.join(unknown)}. Its options are: {', '.join(known)}.")
    return loader(str(path) if loader is open_phantoms else Path(path), **options)
