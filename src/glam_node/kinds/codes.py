"""Codes and meanings of mammography views and their modifiers (PS3.16 CID 4014 and CID 4015)."""

SPECIMEN = "specimen"

# PS3.16 CID 4014 "View for Mammography": SNOMED CT, the retired SNOMED-RT code, and codes of earlier editions
_VIEWS = {
    ("399162004", "R-10242"): "CC",
    ("399368009", "R-10226"): "MLO",
    ("399260004", "R-10224"): "ML",
    ("399352003", "R-10228"): "LM",
    ("399099002", "R-10230"): "LMO",
    ("399196006", "R-10244"): "FB",
    ("399188001", "R-102D0"): "SIO",
    ("441555000", "R-40AAA"): "ISO",
    ("399192008", "R-1024A", "Y-X1770"): "XCCL",
    ("399101009", "R-1024B", "Y-X1771"): "XCCM",
    ("R-102CF",): "XCC",
    ("127457009", "G-8310"): SPECIMEN,
}

# PS3.16 CID 4015 "View Modifier for Mammography"
_VIEW_MODIFIERS = {
    ("399161006", "R-102D2"): "cleavage",
    ("399011000", "R-102D1"): "axillary_tail",
    ("399197002", "R-102D3"): "rolled_lateral",
    ("399226006", "R-102D4"): "rolled_medial",
    ("414493004", "R-102CA"): "rolled_inferior",
    ("415670009", "R-102C9"): "rolled_superior",
    ("399209000", "R-102D5"): "implant_displaced",
    ("399163009", "R-102D6"): "magnification",
    ("399055006", "R-102D7"): "spot_compression",
    ("399110001", "R-102C2"): "tangential",
    ("442581004", "R-40AB3"): "nipple_in_profile",
    ("441752004", "P2-00161"): "anterior_compression",
    ("442593008", "R-40ABE"): "infra_mammary_fold",
    ("442580003", "R-40AB2"): "axillary_tissue",
}

# PS3.16 CID 4014 and 4015 by Code Meaning, for items without a code or with a code of the vendor's own scheme. Meanings
# are compared in lower case, and only by their letters and digits.
VIEW_OF_MEANING = {
    "craniocaudal": "CC",
    "mediolateraloblique": "MLO",
    "mediolateral": "ML",
    "lateromedial": "LM",
    "lateromedialoblique": "LMO",
    "caudocranial": "FB",
    "caudocranialfrombelow": "FB",
    "superolateraltoinferomedialoblique": "SIO",
    "inferomedialtosuperolateraloblique": "ISO",
    "exaggeratedcraniocaudal": "XCC",
    "craniocaudalexaggerated": "XCC",
    "craniocaudalexaggeratedlaterally": "XCCL",
    "craniocaudalexaggeratedmedially": "XCCM",
    "exaggeratedcraniocaudallaterally": "XCCL",
    "exaggeratedcraniocaudalmedially": "XCCM",
    "specimen": SPECIMEN,
    "tissuespecimenfrombreast": SPECIMEN,
}
MODIFIER_OF_MEANING = {
    **{name.replace("_", ""): name for name in _VIEW_MODIFIERS.values()},
    "spot": "spot_compression",
    "spotcompressed": "spot_compression",
    "mag": "magnification",
    "magnified": "magnification",
    "spotmagnification": "magnification",
    "eklund": "implant_displaced",
    "implantdisplacement": "implant_displaced",
    "rolled": "rolled",
}

# Code values are unique across SCT (numbers) and SRT, SNM3 and 99SDM (letters), so the scheme is not compared.
NAME_OF_VIEW = {value: name for values, name in _VIEWS.items() for value in values}
NAME_OF_MODIFIER = {value: name for values, name in _VIEW_MODIFIERS.items() for value in values}

# The side of the breast: codes of PS3.16 CID 4013, and of CID 244 in an item that modifies a region
SIDE_OF_REGION = {
    **dict.fromkeys(("73056007", "T-04020", "24028007", "G-A100"), "R"),
    **dict.fromkeys(("80248007", "T-04030", "7771000", "G-A101"), "L"),
}

# PS3.16 CID 7203: derivations from a volume, and from several exposures
OF_A_VOLUME = frozenset({"113072", "113073", "113074", "113075", "113077", "113078", "113079", "113091"})
OF_SEVERAL_EXPOSURES = frozenset({"113042", "113062", "113097"})
