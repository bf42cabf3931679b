"""HL7 version 2: escaping, messages, MLLP frames and templates; no network and no DICOM."""
