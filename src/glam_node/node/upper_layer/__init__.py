"""The DICOM upper layer (PS3.8) as far as acceptor and requestor share it."""
