"""The table of coded concepts that result objects contain."""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from glam_node.inference.findings import FindingKind, ImageFindings
from glam_node.inference.mammogram import Laterality, ViewPosition

# Category (PS3.16 CID 7150) and type (CID 7151) of a segment. They describe what is visible, never a diagnosis.
MORPHOLOGICALLY_ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically abnormal structure")
LESION = Code("52988006", "SCT", "Lesion")

# Anatomic region (PS3.16 CID 4031) and laterality (CID 244)
BREAST = Code("76752008", "SCT", "Breast")
LATERALITY = {Laterality.RIGHT: Code("24028007", "SCT", "Right"), Laterality.LEFT: Code("7771000", "SCT", "Left")}
BOTH_SIDES = Code("51440002", "SCT", "Bilateral")

# View of a mammogram (PS3.16 CID 4014)
VIEW = Code("111031", "DCM", "Image View")
VIEWS = {
    ViewPosition.CC: Code("399162004", "SCT", "cranio-caudal"),
    ViewPosition.MLO: Code("399368009", "SCT", "medio-lateral oblique"),
}

# Measurement report (PS3.16 TID 1500)
IMAGING_MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
ENGLISH = Code("en", "RFC5646", "English")
DEVICE_OBSERVER = Code("121007", "DCM", "Device")
COMMENT = Code("121106", "DCM", "Comment")

# Measurements. Viewers show only name and value, and the standard has only one code for certainty. So each class needs
# its own code.
PRIVATE_SCHEME = "99GLAMNODE"
PRIVATE_SCHEME_NAME = "glam-node: scores of lesion classes"
CERTAINTY = {
    FindingKind.BENIGN: Code("GLAM-BENIGN", PRIVATE_SCHEME, "Score, benign class (research, not calibrated)"),
    FindingKind.MALIGNANT: Code("GLAM-MALIGNANT", PRIVATE_SCHEME, "Score, malignant class (research, not calibrated)"),
}
TEN_POINT_SCORE = {
    FindingKind.BENIGN: Code("GLAM-BENIGN-10", PRIVATE_SCHEME, "Score 1 to 10, benign class (research)"),
    FindingKind.MALIGNANT: Code("GLAM-MALIGN-10", PRIVATE_SCHEME, "Score 1 to 10, malignant class (research)"),
}
SITE_PROBABILITY = {
    FindingKind.BENIGN: Code(
        "GLAM-BENIGN-SITE", PRIVATE_SCHEME, "Probability, benign class, calibrated by site (research)"
    ),
    FindingKind.MALIGNANT: Code(
        "GLAM-MALIGN-SITE", PRIVATE_SCHEME, "Probability, malignant class, calibrated by site (research)"
    ),
}
# Prior exams: their score, which viewers must not show under the name of the present one; the score of an exam less
# that of a prior exam; and the text about a place in both
PRIOR_SCORE = {
    FindingKind.BENIGN: Code("GLAM-BENIGN-PRI", PRIVATE_SCHEME, "Score of prior exam, benign class (research)"),
    FindingKind.MALIGNANT: Code("GLAM-MALIGN-PRI", PRIVATE_SCHEME, "Score of prior exam, malignant class (research)"),
}
CHANGE_OF_SCORE = {
    FindingKind.BENIGN: Code("GLAM-BENIGN-CHG", PRIVATE_SCHEME, "Change of score, benign class (research)"),
    FindingKind.MALIGNANT: Code("GLAM-MALIGN-CHG", PRIVATE_SCHEME, "Change of score, malignant class (research)"),
}
DESCRIPTION_OF_CHANGE = Code("111021", "DCM", "Description of Change")
PERCENT = Code("%", "UCUM", "Percent")
# HL7 messages: numbers of findings, and the procedure of a study whose images state no code for it
FINDING_COUNT = {
    FindingKind.BENIGN: Code("GLAM-BENIGN-N", PRIVATE_SCHEME, "Number of findings, benign class (research)"),
    FindingKind.MALIGNANT: Code("GLAM-MALIGN-N", PRIVATE_SCHEME, "Number of findings, malignant class (research)"),
}
MAMMOGRAPHY = Code("GLAM-MG", PRIVATE_SCHEME, "Mammography")
# Reference to the segment of a finding (PS3.16 CID 7203). TID 1410 describes a region either by an outline or by a
# segment reference, not by both; but the template is extensible, so this reference may be added to an outline.
SEGMENTATION = Code("113076", "DCM", "Segmentation")
AREA = Code("42798000", "SCT", "Area")
# Size of a finding (PS3.16 CID 7470)
LONG_AXIS = Code("103339001", "SCT", "Long axis")
MILLIMETER = Code("mm", "UCUM", "mm")
SQUARE_MILLIMETER = Code("mm2", "UCUM", "Square millimeter")
# Derivation of a score (PS3.16 CID 7464)
MEAN = Code("373098007", "SCT", "Mean")
MAXIMUM = Code("56851009", "SCT", "Maximum")

# Outcome of an analysis (PS3.16 CID 6047 "CAD Processing and Findings Summary")
PROCESSING_AND_FINDINGS_SUMMARY = Code("111017", "DCM", "CAD Processing and Findings Summary")
SUCCEEDED_WITHOUT_FINDINGS = Code("111241", "DCM", "All algorithms succeeded; without findings")
SUCCEEDED_WITH_FINDINGS = Code("111242", "DCM", "All algorithms succeeded; with findings")
PARTLY_SUCCEEDED_WITHOUT_FINDINGS = Code("111243", "DCM", "Not all algorithms succeeded; without findings")
PARTLY_SUCCEEDED_WITH_FINDINGS = Code("111244", "DCM", "Not all algorithms succeeded; with findings")
FAILED_WITHOUT_FINDINGS = Code("111245", "DCM", "No algorithms succeeded; without findings")

# Quantity (PS3.16 CID 7180) and unit (UCUM) of a Parametric Map
CLASS_ACTIVATION = Code("130402", "DCM", "Class activation")
NO_UNITS = Code("1", "UCUM", "no units")
# Derivation of a Parametric Map (PS3.16 CID 7203)
UNSPECIFIED_METHOD = Code("112187", "DCM", "Unspecified method of calculation")

# Purpose of Contributing Equipment (PS3.16 CID 7005) and family of algorithms (CID 7162)
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

# Title of the Key Object Selection (PS3.16 CID 7010, TID 2010)
OF_INTEREST = Code("113000", "DCM", "Of Interest")
RETENTION_EXPIRED = Code("113039", "DCM", "Data Retention Policy Expired")

# Purpose of a reference to a source image (PS3.16 CID 7202)
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")

# Mammography CAD SR (PS3.16 TID 4000 and its child templates)
MAMMOGRAPHY_CAD_REPORT = Code("111036", "DCM", "Mammography CAD Report")
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
ALGORITHM_PARAMETERS = Code("111002", "DCM", "Algorithm Parameters")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UNIQUE_IDENTIFIER = Code("112040", "DCM", "Tracking Unique Identifier")

# Image library (TID 4020, CID 6022)
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")
IMAGE_LATERALITY = Code("111027", "DCM", "Image Laterality")
BREAST_OF_SIDE = {
    Laterality.RIGHT: Code("73056007", "SCT", "Right breast"),
    Laterality.LEFT: Code("80248007", "SCT", "Left breast"),
}
PATIENT_ORIENTATION_ROW = Code("111044", "DCM", "Patient Orientation Row")
PATIENT_ORIENTATION_COLUMN = Code("111043", "DCM", "Patient Orientation Column")
STUDY_DATE = Code("111060", "DCM", "Study Date")
STUDY_TIME = Code("111061", "DCM", "Study Time")
CONTENT_DATE = Code("111018", "DCM", "Content Date")
CONTENT_TIME = Code("111019", "DCM", "Content Time")
HORIZONTAL_PIXEL_SPACING = Code("111026", "DCM", "Horizontal Pixel Spacing")
VERTICAL_PIXEL_SPACING = Code("111066", "DCM", "Vertical Pixel Spacing")
MICROMETER = Code("um", "UCUM", "micrometer")

# Impressions and findings (TID 4001 to 4006, CID 6014, 6034, 6035 and 6036)
IMPRESSION_DESCRIPTION = Code("111033", "DCM", "Impression Description")
INDIVIDUAL_IMPRESSION = Code("111034", "DCM", "Individual Impression/Recommendation")
RENDERING_INTENT = Code("111056", "DCM", "Rendering Intent")
PRESENTATION_REQUIRED = Code("111150", "DCM", "Presentation Required: Rendering device is expected to present")
PRESENTATION_OPTIONAL = Code("111151", "DCM", "Presentation Optional: Rendering device may present")
COMPOSITE_FEATURE = Code("111015", "DCM", "Composite Feature")
COMPOSITE_TYPE = Code("111016", "DCM", "Composite Type")
SPATIALLY_RELATED = Code("111154", "DCM", "Target content items are related spatially")
SCOPE_OF_FEATURE = Code("111057", "DCM", "Scope of Feature")
ON_MULTIPLE_IMAGES = Code("111158", "DCM", "Feature detected on multiple images")
SINGLE_IMAGE_FINDING = Code("111059", "DCM", "Single Image Finding")
MAMMOGRAPHY_BREAST_DENSITY = Code("129793001", "SCT", "Mammography breast density")
CERTAINTY_OF_FINDING = Code("111012", "DCM", "Certainty of Finding")
CENTER = Code("111010", "DCM", "Center")
OUTLINE = Code("111041", "DCM", "Outline")

# Summaries of detections and analyses (TID 4015 to 4018, CID 6042 and 6043)
SUMMARY_OF_DETECTIONS = Code("111064", "DCM", "Summary of Detections")
SUMMARY_OF_ANALYSES = Code("111065", "DCM", "Summary of Analyses")
SUCCEEDED = Code("111222", "DCM", "Succeeded")
PARTIALLY_SUCCEEDED = Code("111223", "DCM", "Partially Succeeded")
FAILED = Code("111224", "DCM", "Failed")
NOT_ATTEMPTED = Code("111225", "DCM", "Not Attempted")
SUCCESSFUL_DETECTIONS = Code("111063", "DCM", "Successful Detections")
FAILED_DETECTIONS = Code("111025", "DCM", "Failed Detections")
DETECTION_PERFORMED = Code("111022", "DCM", "Detection Performed")
SUCCESSFUL_ANALYSES = Code("111062", "DCM", "Successful Analyses")
FAILED_ANALYSES = Code("111024", "DCM", "Failed Analyses")
ANALYSIS_PERFORMED = Code("111004", "DCM", "Analysis Performed")
SPATIAL_COLLOCATION_ANALYSIS = Code("133884007", "SCT", "Spatial collocation analysis")


# All SCT codes in result objects; highdicom writes the last five. The procedure reported (363679005) is missing, since
# PS3.16 CID 100 has no SRT code for it.
SNOMED_RT = {
    "49755003": "M-01000",
    "52988006": "M-01100",
    "76752008": "T-04000",
    "24028007": "G-A100",
    "7771000": "G-A101",
    "51440002": "G-A102",
    "399162004": "R-10242",
    "399368009": "R-10226",
    "42798000": "G-A166",
    "103339001": "G-A185",
    "373098007": "R-00317",
    "56851009": "G-A437",
    "73056007": "T-04020",
    "80248007": "T-04030",
    "129793001": "F-01796",
    "133884007": "P5-B3402",
    "246205007": "G-C1C6",
    "260753009": "G-C05F",
    "272741003": "G-C171",
    "276214006": "R-427CE",
    "363698007": "G-C0E3",
}


def use_snomed_rt(dataset: Dataset) -> None:
    """Replace each SCT code of the table by its SRT code, in `dataset` and all its sequences."""
    if dataset.get("CodingSchemeDesignator") == "SCT" and str(dataset.CodeValue) in SNOMED_RT:
        dataset.CodeValue = SNOMED_RT[str(dataset.CodeValue)]
        dataset.CodingSchemeDesignator = "SRT"
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                use_snomed_rt(item)


def processing_and_findings_summary(images: Sequence[ImageFindings]) -> Code:
    """Return the code that states whether the images were analysed and whether there are findings (CID 6047)."""
    failed = sum(image.failure is not None for image in images)
    found = any(image.findings for image in images)
    if failed == len(images):
        return FAILED_WITHOUT_FINDINGS
    if failed:
        return PARTLY_SUCCEEDED_WITH_FINDINGS if found else PARTLY_SUCCEEDED_WITHOUT_FINDINGS
    return SUCCEEDED_WITH_FINDINGS if found else SUCCEEDED_WITHOUT_FINDINGS
