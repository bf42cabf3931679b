"""How results present themselves."""

from typing import Literal

from pydantic import Field

from glam_node.settings.section import Section
from glam_node.settings.values import Banner, CodeScheme, ScoreScale, SeriesDescription, SeriesNumber, Text


class ResultsSettings(Section):
    """[results]: how results present themselves."""

    manufacturer: Text = Field(default="glam-node", min_length=1, max_length=64)
    """Manufacturer (0008,0070) of the objects written."""
    station_name: Text = Field(default="GLAMNODE", max_length=16)
    """Station Name (0008,1010)."""
    institution_name: Text = Field(default="", max_length=64)
    """Institution Name (0008,0080)."""
    device_serial_number: Text = Field(default="1", min_length=1, max_length=64)
    """Device Serial Number (0018,1000)."""
    series_number: SeriesNumber = 9500
    """Series Number of the first result series; the others count up from it."""
    banner: Banner = "For research use, not for diagnosis"
    """What every object says of itself. Change it only when your site has validated the package for another use."""
    series_description: SeriesDescription = "GLAM-NODE {subject} research use"
    """Series Description (0008,103E) of the objects written; {subject} is what each holds."""
    score_scale: ScoreScale = "percent"
    """Scores of images, breasts and studies; percent: the calibrated probability where inference.calibration has a
    scale, else the score; raw: 0 to 1; ten: 1 to 10 by the site's or the package's calibration, percent without one.
    Those of findings are saliency, and no calibration is for them."""
    code_scheme: CodeScheme = "SCT"
    """Codes of SNOMED: SCT as DICOM has them today; SRT as workstations before 2017 or so know them."""
    secondary_capture: Literal["sheet", "views"] = "sheet"
    """sheet: all views on one picture; views: one picture each; for destinations that ask for secondary_capture."""
