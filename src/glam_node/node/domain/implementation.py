"""How this software names itself to other DICOM software (PS3.7 D.3.3.2), on the network and in files."""

CLASS_UID = "2.25.302043790172249692526321623266752743501"


def version_name(version: str) -> str:
    """At most 16 characters (SH)."""
    return f"GLAM_NODE_{version}"[:16]
