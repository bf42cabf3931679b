"""The facts about one image that decide its kind, and the policy on kinds of a site and its model package."""

from dataclasses import dataclass

DRAWN_BY, DRAWN_MODEL = "glam-node", "phantom"
"""Manufacturer (0008,0070) and Manufacturer's Model Name (0008,1090) of the phantoms that this software draws."""

CONVENTIONAL = "conventional"
SYNTHESIZED = "synthesized"
CONTRAST_LOW_ENERGY = "contrast_low_energy"
FILM = "film"
DECLARABLE_KINDS = (CONVENTIONAL, CONTRAST_LOW_ENERGY, SYNTHESIZED, FILM)
"""The kinds that a model package may declare in `card.kinds`; no other kind is ever analysed. If a view has images of
several kinds, the first kind in this order is analysed."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The facts that a header states about one image; empty strings, zeros or False for facts that it lacks."""

    modality: str = ""
    presentation_intent_type: str = ""
    """FOR PRESENTATION or FOR PROCESSING (0008,0068), or the intent that the SOP class implies."""
    image_laterality: str = ""
    """L, R or B."""
    view_position: str = ""
    """CC, MLO or another abbreviation of PS3.16 CID 4014; "specimen" for a tissue specimen."""
    view_modifiers: tuple[str, ...] = ()
    """magnification, spot_compression, implant_displaced ... (PS3.16 CID 4015), sorted; unknown codes: SCHEME:VALUE."""
    image_type: tuple[str, ...] = ()
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 1
    specimen: bool = False
    stereotactic: bool = False
    """Whether the image was made for a biopsy or a localisation: scout, stereo pair."""
    breast_implant_present: bool = False
    contradiction: str = ""
    """Two statements of the header that cannot both be true, in plain words; empty when there are none."""
    contrast_agent: bool = False
    """Whether the Contrast/Bolus module names an agent, an amount or an ingredient."""
    partial_view: bool = False
    phantom: bool = False
    """Whether the header says that the image is for quality control or calibration."""
    other_region: str = ""
    """The header's statement that the image shows another part of the body; empty when there is none."""
    tomosynthesis: bool = False
    """Whether the header has elements that only slices and layers of a tomosynthesis have."""
    film: bool = False
    """Whether the header says that the image is digitised film (Conversion Type DF, Detector Type FILM)."""
    drawn: bool = False
    """Whether this software drew the image: then it is a phantom, not an image of a patient."""
    described: tuple[str, ...] = ()
    """Kinds that descriptions of the series, the processing or the paddle name (`kinds.descriptions`)."""


@dataclass(frozen=True, slots=True)
class KindPolicy:
    """The policy of a site and its model package on kinds of image."""

    accepted: frozenset[str] = frozenset({CONVENTIONAL})
    """The kinds among DECLARABLE_KINDS that the model package declares."""
    descriptions: bool = True
    """Whether the kinds that only a description names are applied (`eligibility.read_descriptions`)."""
    image_types: frozenset[str] = frozenset()
    """Additional terms of Image Type on the site's ordinary views (`eligibility.image_types`), in upper case."""
    phantoms_only: bool = False
    """Whether the model package is a demonstration that may not be used on patients' images."""


CONVENTIONAL_VIEWS = KindPolicy()
"""The default policy: conventional mammograms only."""
