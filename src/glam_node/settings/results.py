"""Settings of [results]."""

from typing import Literal

from pydantic import Field

from glam_node.settings.section import Section
from glam_node.settings.values import Banner, CodeScheme, ScoreScale, SeriesDescription, SeriesNumber, Text


class ResultsSettings(Section):
    """[results]: attributes and appearance of the result objects."""

    manufacturer: Text = Field(default="glam-node", min_length=1, max_length=64)
    """Manufacturer (0008,0070) of the result objects."""
    station_name: Text = Field(default="GLAMNODE", max_length=16)
    """Station Name (0008,1010)."""
    institution_name: Text = Field(default="", max_length=64)
    """Institution Name (0008,0080)."""
    device_serial_number: Text = Field(default="1", min_length=1, max_length=64)
    """Device Serial Number (0018,1000)."""
    series_number: SeriesNumber = 9500
    """Series Number of the first result series; the others count up from it."""
    banner: Banner = "For research use, not for diagnosis"
    """Statement of the intended use in every object. Change it only when your site has validated the package for
    another use."""
    series_description: SeriesDescription = "GLAM-NODE {subject} research use"
    """Series Description (0008,103E) of the result objects; {subject} is replaced by the content of the series."""
    score_scale: ScoreScale = "percent"
    """Scale of the scores of images, breasts and studies. percent: the calibrated probability if inference.calibration
    is set, else the score; raw: 0 to 1; ten: 1 to 10 by the calibration of the site or the package, percent without
    one. Scores of findings are saliency, and are never calibrated."""
    code_scheme: CodeScheme = "SCT"
    """Scheme of the SNOMED codes: SCT as in DICOM today; SRT for workstations from before about 2017."""
    secondary_capture: Literal["sheet", "views"] = "sheet"
    """sheet: one picture of all views; views: one picture per view. It is for destinations that get
    secondary_capture."""
