"""Headers of every kind of image, as changes to an ordinary view with the kind that leaves each image out."""

from copy import deepcopy
from typing import Any

from pydicom.dataset import Dataset

from glam_node.inference.phantom import make_exam

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
DIGITAL_X_RAY = "1.2.840.10008.5.1.4.1.1.1.1"
TOMOSYNTHESIS, PROJECTION = "1.2.840.10008.5.1.4.1.1.13.1.3", "1.2.840.10008.5.1.4.1.1.13.1.4"

_EXAM: list[Dataset] = []


def item(value: str = "", meaning: str = "x", scheme: str = "SCT", **more: Any) -> Dataset:
    """Return one item of a code sequence."""
    dataset = Dataset()
    if value:
        dataset.CodeValue, dataset.CodingSchemeDesignator = value, scheme
    dataset.CodeMeaning = meaning
    for keyword, stated in more.items():
        setattr(dataset, keyword, stated)
    return dataset


def modified(value: str = "", meaning: str = "x", scheme: str = "SCT") -> list[Dataset]:
    """Return the View Code Sequence of a CC with one modifier."""
    return [item("399162004", ViewModifierCodeSequence=[item(value, meaning, scheme)])]


def image_with(changes: dict[str, Any]) -> Dataset:
    """Return the R CC view of a phantom with these elements, those whose value is None removed."""
    if not _EXAM:
        _EXAM.append(make_exam(1, rows=128, columns=96)[0].dataset)
    dataset = deepcopy(_EXAM[0])
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def _image_type(*others: str, first: str = "DERIVED", second: str = "PRIMARY") -> dict[str, Any]:
    return {"ImageType": [first, second, *others]}


def _series(description: str) -> dict[str, Any]:
    return {"SeriesDescription": description, "Manufacturer": "ACME"}


_BIOPSY_TERMS = """STEREO STEREO_SCOUT STEREO_MINUS STEREO_PLUS PREFIRE PREFIRE_MINUS PREFIRE_PLUS POSTFIRE
POSTFIRE_MINUS POSTFIRE_PLUS POSTBIOPSY POSTBIOPSY_MINUS POSTBIOPSY_PLUS POSTMARKER POSTMARKER_MINUS POSTMARKER_PLUS
TOMO_SCOUT"""
_SYNTHESIZED: tuple[str, ...] = (
    "C-View",
    "R CC C-VIEW",
    "V-Preview",
    "Insight 2D",
    "S-View",
    "Intelligent 2D",
    "R MLO Synthesized 2D",
)
_SYNTHESIZED += ("RCC synthetic", "L CC S_View", "CVIEW", "G-View", "Insight2D")

_DESCRIBED = {
    "synthesized": ("Sintética", "L CC Tomo 2D", "2D from DBT", "I2D"),
    "tomosynthesis_only": ("L CC 3D", "Tomosynthese Schicht", "R MLO DBT", "slice 12", "MIP"),
    "contrast_enhanced": ("Kontrastmittel", "con contraste", "L CC HE", "Galaktographie", "post-contrast", "Contrast"),
    "contrast_low_energy": ("L CC LE", "basse énergie"),
    "stereotactic": ("Scout", "hookwire", "Lokalisation", "repérage"),
    "specimen": ("Präparatradiographie", "pièce opératoire", "Pieza quirúrgica"),
    "phantom": ("Phantom", "FANTÔME", "QC", "Artifact evaluation"),
    "spot": ("Zielaufnahme", "compresión focal", "coned down", "cliché localisé"),
    "magnified": ("Vergrößerung", "agrandissement", "RMCC", "LMAG"),
    "secondary_capture": ("Screenshot",),
}
_DESCRIBED_OTHERWISE = {
    "synthesized": ("INSIGHT 3D", "合成2D", "Синтезированная 2D", "합성 영상"),
    "tomosynthesis_only": ("IntelliSlices", "トモシンセシス R CC", "томосинтез"),
    "contrast_enhanced": ("HE R CC", "énergie haute", "造影 R CC", "с контрастом"),
    "contrast_low_energy": ("LE R CC", "énergie basse"),
    "stereotactic": ("生検", "биопсия"),
    "specimen": ("标本",),
    "phantom": ("Fantoom", "ファントム", "фантом"),
    "spot": ("Localisé R CC", "スポット", "прицельный снимок"),
    "magnified": ("拡大 R CC", "увеличение"),
}

LEFT_OUT: list[tuple[str, dict[str, Any]]] = [
    *(
        (rule, _series(text))
        for described in (_DESCRIBED, _DESCRIBED_OTHERWISE)
        for rule, texts in described.items()
        for text in texts
    ),
    ("secondary_capture", _image_type("", "", "", "", "SCREENSHOT")),
    ("phantom", {"BodyPartExamined": "BREAST PHANTOM"}),
    ("phantom", {"OrganExposed": "PHANTOM"}),
    ("phantom", {"CalibrationImage": "Y"}),
    ("phantom", {"ProtocolName": "Phantom QC"}),
    ("other_region", {"BodyPartExamined": "AXILLA"}),
    ("specimen", {"ViewPosition": "SPECIMEN"}),
    ("specimen", {"AnatomicRegionSequence": [item("", "Tissue specimen")]}),
    ("specimen", {"PrimaryAnatomicStructureSequence": [item("127457009")]}),
    ("specimen", {"ContainerIdentifier": "B 17"}),
    ("specimen", {"ManufacturerModelName": "Faxitron VisionCT"}),
    ("contrast_enhanced", {"ContrastBolusRoute": "IV"}),
    ("contrast_enhanced", {"ContrastFlowRate": "3"}),
    ("contrast_enhanced", {"ContrastBolusIngredientConcentration": "300"}),
    ("contrast_enhanced", {"RequestedContrastAgent": "Omnipaque"}),
    ("contrast_enhanced", {"FilterMaterial": "COPPER"}),
    ("contrast_enhanced", {"KVP": "49"}),
    ("contrast_enhanced", {"ProtocolName": "CESM"}),
    ("contrast_enhanced", {"DerivationCodeSequence": [item("113062", scheme="DCM")]}),
    ("tomosynthesis_only", {"DerivationCodeSequence": [item("113078", scheme="DCM")]}),
    ("tomosynthesis_only", {"SliceThickness": "1"}),
    ("tomosynthesis_only", {"ImagePositionPatient": [0, 0, 12]}),
    ("tomosynthesis_only", {"TomoAngle": "15"}),
    ("tomosynthesis_only", {"InConcatenationNumber": 3}),
    ("synthesized", _image_type("", "", "", "", "CVIEW")),
    ("spot", {"ViewCodeSequence": [item("399162004", "cranio-caudal spot compression")]}),
    ("spot", {"PaddleDescription": "10CM CONTACT"}),
    (
        "magnified",
        {
            "EstimatedRadiographicMagnificationFactor": None,
            "DistanceSourceToDetector": "660",
            "DistanceSourceToPatient": "370",
        },
    ),
    ("contradiction", {"ViewCodeSequence": [item("", "medio-lateral oblique")]}),
    ("contradiction", {"ViewCodeSequence": [item("", "cranio-caudal exaggerated laterally")]}),
    ("contradiction", {"AnatomicRegionSequence": [item("80248007", "Left breast")]}),
    ("contradiction", {"PrimaryAnatomicStructureSequence": [item("T-04030", "Left breast", "SRT")]}),
    (
        "contradiction",
        {"AnatomicRegionSequence": [item("76752008", AnatomicRegionModifierSequence=[item("7771000", "Left")])]},
    ),
    ("contradiction", {"ImageLaterality": "LEFT", "Laterality": "R"}),
    ("no_mammography", {"Modality": "CT"}),
    ("no_mammography", {"Modality": None}),
    ("secondary_capture", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}),
    ("secondary_capture", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2"}),
    ("secondary_capture", _image_type(second="SECONDARY")),
    ("other_class", {"SOPClassUID": CT_IMAGE}),
    ("other_class", {"SOPClassUID": ULTRASOUND}),
    ("phantom", {"QualityControlImage": "YES"}),
    ("phantom", {"CalibrationImage": "YES"}),
    ("phantom", {"BodyPartExamined": "PHANTOM"}),
    ("phantom", _image_type("PHANTOM")),
    ("phantom", _image_type("", "QUALITY CONTROL")),
    ("phantom", _series("ACR Phantom")),
    ("other_region", {"BodyPartExamined": "CHEST"}),
    ("other_region", {"AnatomicRegionSequence": [item("51185008", "Chest")]}),
    ("specimen", {"BodyPartExamined": "SPECIMEN"}),
    ("specimen", _image_type("SPECIMEN")),
    ("specimen", {"SpecimenDescriptionSequence": [Dataset()]}),
    ("specimen", {"ViewCodeSequence": [item("G-8310", "Tissue specimen", "SRT")], "ViewPosition": None}),
    ("specimen", _series("Specimen")),
    *(("stereotactic", _image_type(term, first="ORIGINAL")) for term in _BIOPSY_TERMS.split()),
    ("stereotactic", _series("L Stereo biopsy")),
    ("stereotactic", {"PaddleDescription": "BIOPSY 5X5"}),
    ("stereotactic", {"PaddleDescription": "Needle localization"}),
    ("contrast_enhanced", _image_type("POST_CONTRAST", "SUBTRACTION")),
    ("contrast_enhanced", _image_type("", "SUBTRACTION")),
    ("contrast_enhanced", _image_type("", "ADDITION")),
    ("contrast_enhanced", _image_type("", "", "HIGH_ENERGY", first="ORIGINAL")),
    ("contrast_enhanced", _image_type("", "HIGH_ENERGY", first="ORIGINAL")),
    ("contrast_enhanced", _image_type("POST_CONTRAST")),
    ("contrast_enhanced", {"ContrastBolusAgent": "IODINE"}),
    ("contrast_enhanced", {"ContrastBolusAgentSequence": [item("C-B0322", "Iohexol", "SRT")]}),
    ("contrast_enhanced", {"ContrastBolusVolume": "90"}),
    ("contrast_enhanced", _series("L CC CESM recombined")),
    ("tomosynthesis_only", {"SOPClassUID": TOMOSYNTHESIS}),
    ("tomosynthesis_only", {"SOPClassUID": PROJECTION}),
    ("tomosynthesis_only", {"NumberOfFrames": 60}),
    ("tomosynthesis_only", _image_type("TOMO_PROJ", first="ORIGINAL")),
    ("tomosynthesis_only", _image_type("TOMOSYNTHESIS", "NONE")),
    ("tomosynthesis_only", _image_type("TOMOSYNTHESIS", "MAXIMUM")),
    ("tomosynthesis_only", {"VolumetricProperties": "VOLUME"}),
    ("tomosynthesis_only", {"ConcatenationUID": "1.2.3"}),
    ("tomosynthesis_only", {"TomoClass": "TOMOSYNTHESIS"}),
    ("tomosynthesis_only", _series("L CC Tomosynthesis Reconstruction")),
    ("for_processing_only", {"PresentationIntentType": "FOR PROCESSING"}),
    ("presentation_intent_missing", {"PresentationIntentType": None, "SOPClassUID": COMPUTED_RADIOGRAPHY}),
    ("no_pixels", {"Rows": 0}),
    ("spot", {"ViewCodeSequence": modified("399055006")}),
    ("spot", {"ViewCodeSequence": modified("R-102D7", scheme="SRT")}),
    ("spot", {"ViewCodeSequence": modified("R-102D7", scheme="SNM3")}),
    ("spot", {"ViewCodeSequence": modified(meaning="Spot Compression")}),
    ("spot", {"PaddleDescription": "7.5CM SPOT"}),
    ("spot", _series("R CC Spot")),
    ("magnified", {"ViewCodeSequence": modified("399163009")}),
    ("magnified", {"ViewCodeSequence": modified("M1", "Magnification", "99ACME")}),
    ("magnified", {"EstimatedRadiographicMagnificationFactor": "1.8"}),
    ("magnified", _series("L ML MAG")),
    ("no_standard_view", {"ViewCodeSequence": modified("399197002")}),
    ("no_standard_view", {"ViewCodeSequence": modified("17", "local", "99ACME")}),
    ("no_standard_view", {"ViewCodeSequence": modified(meaning="Axillary Tail")}),
    ("no_standard_view", {"ViewCodeSequence": [item("9", "Medio-lateral", "99ACME")], "ViewPosition": None}),
    ("no_standard_view", {"ViewCodeSequence": None, "ViewPosition": "XCCL"}),
    ("image_type_unknown", _image_type("SOMETHING")),
    ("image_type_unknown", _image_type("", "", "SOMETHING")),
    ("image_type_unknown", _image_type(first="MIXED")),
    ("image_type_unknown", _image_type(second="AXIAL")),
    ("laterality_or_view_missing", {"ImageLaterality": None}),
    ("laterality_or_view_missing", {"ImageLaterality": "B"}),
    ("laterality_or_view_missing", {"ViewCodeSequence": None, "ViewPosition": None}),
    ("contradiction", {"Laterality": "L"}),
    ("contrast_low_energy", _image_type("", "LOW_ENERGY", first="ORIGINAL") | {"ContrastBolusAgent": "IODINE"}),
    ("contrast_low_energy", _image_type("POST_CONTRAST", "", "LOW_ENERGY", first="ORIGINAL")),
    ("contrast_low_energy", _series("L CC Low Energy CESM")),
    ("film", {"ConversionType": "DF"}),
    ("film", {"DetectorType": "FILM"}),
    ("film", _image_type("DIGITIZED")),
    ("synthesized", _image_type("TOMOSYNTHESIS", "GENERATED_2D")),
    ("synthesized", _image_type("TOMOSYNTHESIS", "GENERATED_2D", "", "150000")),
    ("synthesized", _image_type("", "GENERATED_2D") | {"VolumetricProperties": "VOLUME", "TomoClass": "TOMOSYNTHESIS"}),
    ("synthesized", _image_type("TOMO_2D")),
    ("synthesized", {"AcquisitionDeviceProcessingDescription": "C-View"}),
    *(("synthesized", _series(description)) for description in _SYNTHESIZED),
]

ORDINARY: dict[str, dict[str, Any]] = {
    "GE": _image_type("", first="ORIGINAL")
    | {"Manufacturer": "GE MEDICAL SYSTEMS", "AcquisitionDeviceProcessingDescription": "PREMIUM_VIEW"}
    | {"SeriesDescription": "MAMMOSCREENING 1E LEZING", "QualityControlImage": "NO", "BreastImplantPresent": "NO"}
    | {"DerivationDescription": "Lossless JPEG compression, selection value 1, point transform 0"},
    "Hologic": _image_type() | {"Manufacturer": "HOLOGIC, Inc.", "PaddleDescription": "18X24CM NORMAL"},
    "an ordinary filter and voltage": {"FilterMaterial": "RHODIUM", "KVP": "34", "SliceThickness": ""},
    "GE at contact": {"EstimatedRadiographicMagnificationFactor": "1", "DistanceSourceToPatient": "660"}
    | {"AcquisitionDeviceProcessingDescription": "eContrast", "ProtocolName": "ROUTINE TOMO COMBO"}
    | {"ConversionType": "WSD", "SeriesDescription": "SCREEN BILAT DIGITAL W/CAD without contrast"},
    "a model that is named as another vendor's synthetic views": {"ManufacturerModelName": "Planmed Clarity 2D"},
    "a protocol of both": {"ProtocolName": "Tomo + 2D"},
    "no contrast in words": {"ContrastBolusAgent": "no contrast"},
    "a breast in another language": {"AnatomicRegionSequence": [item("110502", "Sein", "99ACME")]},
    "Hologic with places for a dose": _image_type("", "", "", "", "", "", "150000", first="ORIGINAL"),
    "Siemens": _image_type("", "LEFT") | {"Manufacturer": "SIEMENS", "SeriesDescription": "MAMMOGRAM, digital"},
    "Fujifilm": _image_type("POST_PROCESSED", "", "", "", "", "", "", "100000"),
    "a vendor's own word for a field": _image_type("FFDM"),
    "Japanese": _series("検診マンモグラフィ 左CC 造影なし"),
    "Chinese": _series("左乳MLO位"),
    "Korean": _series("유방 촬영 R CC"),
    "Russian": _series("Обзорная маммография без контраста"),
    "no Image Type": {"ImageType": None},
    "Image Type of two values": {"ImageType": ["ORIGINAL", "PRIMARY"]},
    "a combined examination": {"SeriesDescription": "R CC (2D of a combination with tomo)", "Manufacturer": "ACME"},
    "the class of radiography": {"SOPClassUID": DIGITAL_X_RAY},
    "implant displaced": {"ViewCodeSequence": modified("399209000"), "BreastImplantPresent": "YES"},
    "implant displaced by its meaning": {"ViewCodeSequence": modified(meaning="Implant Displaced")},
    "nipple in profile": {"ViewCodeSequence": modified("442581004")},
    "an empty modifier": {"ViewCodeSequence": [item("399162004", ViewModifierCodeSequence=[])]},
    "a partial view": {"PartialView": "YES"},
    "an empty contrast agent": {"ContrastBolusAgent": ""},
    "no contrast agent": {"ContrastBolusAgent": "NONE", "ContrastBolusVolume": "0"},
    "elements that are present and empty": {
        keyword: ""
        for keyword in (
            "VolumetricProperties",
            "TomoClass",
            "CalibrationImage",
            "PaddleDescription",
            "BodyPartExamined",
        )
    },
    "a body part in a site's own words": {"BodyPartExamined": "MAMMA LI"},
    "a breast by a local code": {"AnatomicRegionSequence": [item("B1", "Right breast", "99ACME")]},
    "the view by its meaning": {
        "ViewCodeSequence": [item("7", "cranio-caudal", "99ACME")],
        "ViewPosition": None,
    },
}
