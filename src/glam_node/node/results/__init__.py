"""The DICOM objects that results are; pure functions of findings, source headers and identity."""
