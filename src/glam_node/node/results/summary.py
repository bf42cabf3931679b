"""The outcome of the analysis of images as a code."""

from collections.abc import Sequence

from pydicom.sr.coding import Code

from glam_node.inference.findings import ImageFindings
from glam_node.node.results import codes


def processing_and_findings_summary(images: Sequence[ImageFindings]) -> Code:
    """Return the code for whether the images were analysed and whether there are findings (PS3.16 CID 6047)."""
    failed = sum(image.failure is not None for image in images)
    found = any(image.findings for image in images)
    if failed == len(images):
        return codes.FAILED_WITHOUT_FINDINGS
    if failed:
        return codes.PARTLY_SUCCEEDED_WITH_FINDINGS if found else codes.PARTLY_SUCCEEDED_WITHOUT_FINDINGS
    return codes.SUCCEEDED_WITH_FINDINGS if found else codes.SUCCEEDED_WITHOUT_FINDINGS
