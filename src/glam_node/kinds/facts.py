"""The facts about one image that decide its kind, and what a site and its model package decide about kinds."""

from dataclasses import dataclass

DRAWN_BY, DRAWN_MODEL = "glam-node", "phantom"
"""Manufacturer (0008,0070) and Manufacturer's Model Name (0008,1090) of the phantoms that this software draws."""

CONVENTIONAL = "conventional"
SYNTHESIZED = "synthesized"
CONTRAST_LOW_ENERGY = "contrast_low_energy"
DECLARABLE_KINDS = (CONVENTIONAL, CONTRAST_LOW_ENERGY, SYNTHESIZED)
"""The kinds that a model package may declare in `card.kinds`; no other kind is ever analysed. Of a view that has images
of several kinds, the first is analysed."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The header's statements about one image; empty strings, zeros and False where the header says nothing."""

    modality: str = ""
    presentation_intent_type: str = ""
    """FOR PRESENTATION or FOR PROCESSING (0008,0068), or the intent that the SOP class implies."""
    image_laterality: str = ""
    """L, R or B."""
    view_position: str = ""
    """CC, MLO or another abbreviation of PS3.16 CID 4014; "specimen" for tissue that is no longer in a breast."""
    view_modifiers: tuple[str, ...] = ()
    """magnification, spot_compression, implant_displaced ... (PS3.16 CID 4015), sorted; else SCHEME:VALUE."""
    image_type: tuple[str, ...] = ()
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 1
    specimen: bool = False
    stereotactic: bool = False
    """Whether the image was made for a biopsy or a localisation: scout, stereo pair."""
    breast_implant_present: bool = False
    contradiction: str = ""
    """Two statements that cannot both be true, in plain words; empty when there are none."""
    contrast_agent: bool = False
    """Whether the Contrast/Bolus module names an agent, an amount or an ingredient."""
    partial_view: bool = False
    phantom: bool = False
    """Whether the header says that the image is for quality control or calibration."""
    other_region: str = ""
    """The statement that the image shows another part of the body; empty when there is none."""
    tomosynthesis: bool = False
    """Whether the header has elements that only slices and layers of a tomosynthesis have."""
    drawn: bool = False
    """Whether this software drew the image: it is a phantom, and no patient's."""
    described: tuple[str, ...] = ()
    """Kinds that the descriptions of image, processing and paddle name (`kinds.descriptions`)."""


@dataclass(frozen=True, slots=True)
class KindRules:
    """The decisions of a site and of its model package about kinds of image."""

    accepted: frozenset[str] = frozenset({CONVENTIONAL})
    """The kinds among DECLARABLE_KINDS that the model package declares."""
    descriptions: bool = True
    """Whether a kind that is only named in a description counts (`eligibility.read_descriptions`)."""
    image_types: frozenset[str] = frozenset()
    """Further terms of Image Type that ordinary views of the site have (`eligibility.image_types`), in upper case."""
    phantoms_only: bool = False
    """Whether the model package is a demonstration that may not be used on patients' images."""


CONVENTIONAL_VIEWS = KindRules()
"""The rules that hold where nobody chooses others."""
