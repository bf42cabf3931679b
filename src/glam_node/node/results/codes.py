"""The one table of coded concepts; no code stands anywhere else in this package."""

from pydicom.sr.coding import Code

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality, ViewPosition

# What is seen. Never a diagnosis: PS3.16 CID 7150 category and CID 7151 type of a segment
MORPHOLOGICALLY_ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically abnormal structure")
LESION = Code("52988006", "SCT", "Lesion")

# Where. PS3.16 CID 4031 and CID 244
BREAST = Code("76752008", "SCT", "Breast")
LATERALITY = {Laterality.RIGHT: Code("24028007", "SCT", "Right"), Laterality.LEFT: Code("7771000", "SCT", "Left")}
BOTH_SIDES = Code("51440002", "SCT", "Bilateral")

# PS3.16 CID 4014
VIEW = Code("111031", "DCM", "Image View")
VIEWS = {
    ViewPosition.CC: Code("399162004", "SCT", "cranio-caudal"),
    ViewPosition.MLO: Code("399368009", "SCT", "medio-lateral oblique"),
}

# The report: PS3.16 TID 1500
IMAGING_MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
ENGLISH = Code("en", "RFC5646", "English")
DEVICE_OBSERVER = Code("121007", "DCM", "Device")
COMMENT = Code("121106", "DCM", "Comment")

# Measurements. Two names, since viewers show nothing but name and value; standard terms know one certainty only.
PRIVATE_SCHEME = "99GLAMNODE"
PRIVATE_SCHEME_NAME = "glam-node: scores of lesion classes"
CERTAINTY = {
    FindingKind.BENIGN: Code("GLAM-BENIGN", PRIVATE_SCHEME, "Score, benign class (research, not calibrated)"),
    FindingKind.MALIGNANT: Code("GLAM-MALIGNANT", PRIVATE_SCHEME, "Score, malignant class (research, not calibrated)"),
}
PERCENT = Code("%", "UCUM", "Percent")
AREA = Code("42798000", "SCT", "Area")
SQUARE_MILLIMETER = Code("mm2", "UCUM", "Square millimeter")
# PS3.16 CID 7464
MEAN = Code("373098007", "SCT", "Mean")
MAXIMUM = Code("56851009", "SCT", "Maximum")

# Outcome: PS3.16 CID 6047 "CAD Processing and Findings Summary"
PROCESSING_AND_FINDINGS_SUMMARY = Code("111017", "DCM", "CAD Processing and Findings Summary")
SUCCEEDED_WITHOUT_FINDINGS = Code("111241", "DCM", "All algorithms succeeded; without findings")
SUCCEEDED_WITH_FINDINGS = Code("111242", "DCM", "All algorithms succeeded; with findings")
PARTLY_SUCCEEDED_WITHOUT_FINDINGS = Code("111243", "DCM", "Not all algorithms succeeded; without findings")
PARTLY_SUCCEEDED_WITH_FINDINGS = Code("111244", "DCM", "Not all algorithms succeeded; with findings")
FAILED_WITHOUT_FINDINGS = Code("111245", "DCM", "No algorithms succeeded; without findings")

# PS3.16 CID 7005 purpose of Contributing Equipment; CID 7162 family of algorithms
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

# Key Object Selection: PS3.16 CID 7010, TID 2010
OF_INTEREST = Code("113000", "DCM", "Of Interest")

# PS3.16 CID 7202
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
