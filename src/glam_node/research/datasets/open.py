"""Data sets by the names that commands and recipes use."""

from collections.abc import Callable
from inspect import Parameter, signature
from pathlib import Path

from glam_node.research.datasets.bi_rads import BiRadsRule
from glam_node.research.datasets.cbis_ddsm import open_cbis_ddsm
from glam_node.research.datasets.cbis_mass import open_cbis_mass
from glam_node.research.datasets.cmmd import open_cmmd
from glam_node.research.datasets.folder import open_folder
from glam_node.research.datasets.inbreast import open_inbreast
from glam_node.research.datasets.labelled import LabelledDataset
from glam_node.research.datasets.nyu import open_nyu
from glam_node.research.datasets.phantoms import PhantomMix, open_phantoms
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.datasets.tables import TRUTH
from glam_node.research.datasets.vindr_mammo import open_vindr_mammo

_LOADERS: dict[str, Callable[..., LabelledDataset]] = {
    "folder": open_folder,
    "cbis-ddsm": open_cbis_ddsm,
    "cbis-mass": open_cbis_mass,
    "inbreast": open_inbreast,
    "vindr-mammo": open_vindr_mammo,
    "cmmd": open_cmmd,
    "nyu": open_nyu,
    "phantoms": open_phantoms,
}
KINDS = tuple(_LOADERS)

# Readers of options given as text, by the type of the option's default.
_FROM_TEXT: dict[type, Callable[[str], object]] = {
    bool: lambda text: TRUTH[text.lower()],
    int: int,
    tuple: lambda text: tuple(text.split(",")),
    frozenset: lambda text: frozenset(text.split(",")),
    BiRadsRule: BiRadsRule.from_text,
    PhantomMix: PhantomMix.from_text,
}


def open_dataset(kind: str, path: Path | str, **options: object) -> LabelledDataset:
    """Open the data set of this kind (KINDS) at `path`; its files are read on the first use of the views.

    Args:
        kind: Name of the loader.
        path: The data set's folder; for "nyu" the exam list, for "phantoms" the range of seeds, "first:end".
        options: Keyword options of the loader. As text, as from a command line: numbers, yes or no, lists with commas,
            rule="2,3/4,5,6" (BI-RADS benign/malignant), mix="0.4,0.25,0.25,0.1" (normal, benign, malignant, both).

    Raises:
        DatasetError: The kind or an option is unknown (the message lists those that exist), or the text of an option
            cannot be read.
    """
    loader = _LOADERS.get(kind)
    if loader is None:
        raise DatasetError(f"There is no data set kind {kind!r}. The kinds are: {', '.join(KINDS)}.")
    known = {name: each for name, each in signature(loader).parameters.items() if each.kind is Parameter.KEYWORD_ONLY}
    unknown = [name for name in options if name not in known]
    if unknown:
        raise DatasetError(f"{kind} has no option {', '.join(unknown)}. Its options are: {', '.join(known)}.")
    values = {name: _value(kind, known[name], value) for name, value in options.items()}
    return loader(str(path) if loader is open_phantoms else Path(path), **values)


def _value(kind: str, parameter: Parameter, value: object) -> object:
    read = _FROM_TEXT.get(type(parameter.default))
    if read is None or not isinstance(value, str):
        return value
    try:
        return read(value)
    except (KeyError, ValueError):
        raise DatasetError(f"The option {parameter.name} of {kind} cannot be {value!r}.") from None
