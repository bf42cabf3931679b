"""The DICOM node; a listening process never imports torch."""
