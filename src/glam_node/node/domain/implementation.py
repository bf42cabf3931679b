"""Implementation Class UID and version name of this software (PS3.7 D.3.3.2), on the network and in files."""

CLASS_UID = "2.25.302043790172249692526321623266752743501"


def version_name(version: str) -> str:
    """Return the Implementation Version Name, cut to the 16 characters of an SH."""
    return f"GLAM_NODE_{version}"[:16]
