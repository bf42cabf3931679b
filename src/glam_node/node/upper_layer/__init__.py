"""The parts of the DICOM upper layer (PS3.8) that acceptor and requestor share."""
