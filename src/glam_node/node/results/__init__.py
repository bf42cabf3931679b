"""Writers of the result objects: pure functions of findings, source headers and the identity of the device."""
