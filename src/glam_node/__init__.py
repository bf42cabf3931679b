"""glam-node: a DICOM node that reads screening mammograms with GLAM. For research use until a site validates it."""

__version__ = "1.0.0"
