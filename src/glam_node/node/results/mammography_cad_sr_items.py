"""Content items that several templates of a Mammography CAD SR use (PS3.3 C.17.3)."""

from collections.abc import Iterable, Iterator

import numpy as np
from highdicom import sr
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from glam_node.node.results import codes

CONTAINS = sr.RelationshipTypeValues.CONTAINS
HAS_CONCEPT_MOD = sr.RelationshipTypeValues.HAS_CONCEPT_MOD
HAS_OBS_CONTEXT = sr.RelationshipTypeValues.HAS_OBS_CONTEXT
HAS_PROPERTIES = sr.RelationshipTypeValues.HAS_PROPERTIES
INFERRED_FROM = sr.RelationshipTypeValues.INFERRED_FROM
SELECTED_FROM = sr.RelationshipTypeValues.SELECTED_FROM


def with_children(item: Dataset, children: Iterable[Dataset]) -> Dataset:
    """Return `item` after adding `children` below it."""
    # highdicom's ContentSequence accepts only items with names, which references and library entries do not have.
    item.add_new("ContentSequence", "SQ", list(children))
    return item


def container(name: Code, relationship_type: sr.RelationshipTypeValues, children: Iterable[Dataset]) -> Dataset:
    """Return a heading with `children` below it."""
    heading = sr.ContainerContentItem(name=name, is_content_continuous=False, relationship_type=relationship_type)
    return with_children(heading, children)


def by_reference(relationship_type: sr.RelationshipTypeValues, identifier: list[int]) -> Dataset:
    """Return a reference to another content item of the tree (PS3.3 C.17.3.2.5).

    Args:
        relationship_type: The relationship to that item.
        identifier: The Referenced Content Item Identifier: the number of the item at each level, from 1, root first.
    """
    item = Dataset()
    item.RelationshipType = relationship_type.value
    item.ReferencedContentItemIdentifier = identifier
    return item


def algorithm(name: str, version: str, parameters: Iterable[str]) -> Iterator[Dataset]:
    """Yield the identification of the algorithm that made an item (PS3.16 TID 4019)."""
    yield sr.TextContentItem(codes.ALGORITHM_NAME, name, HAS_PROPERTIES)
    yield sr.TextContentItem(codes.ALGORITHM_VERSION, version, HAS_PROPERTIES)
    for parameter in parameters:
        yield sr.TextContentItem(codes.ALGORITHM_PARAMETERS, parameter, HAS_PROPERTIES)


def tracking(tracking_id: str, tracking_uid: str) -> Iterator[Dataset]:
    """Yield the tracking identifiers of a finding, which are the same in every object (PS3.16 TID 4108)."""
    yield sr.TextContentItem(codes.TRACKING_IDENTIFIER, tracking_id, HAS_OBS_CONTEXT)
    yield sr.UIDRefContentItem(codes.TRACKING_UNIQUE_IDENTIFIER, tracking_uid, HAS_OBS_CONTEXT)


def coordinates(
    name: Code, graphic_type: sr.GraphicTypeValues, points: NDArray[np.float64], image: list[int]
) -> Dataset:
    """Return coordinates on an image of the image library (PS3.16 TID 4021).

    Args:
        name: The meaning of the coordinates.
        graphic_type: Their graphic type.
        points: Float array of shape (n, 2), column before row.
        image: The Referenced Content Item Identifier of the image's library entry.
    """
    item = sr.ScoordContentItem(
        name=name, graphic_type=graphic_type, graphic_data=points, relationship_type=HAS_PROPERTIES
    )
    return with_children(item, [by_reference(SELECTED_FROM, image)])
