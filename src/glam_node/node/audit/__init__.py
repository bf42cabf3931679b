"""DICOM audit messages (PS3.15 A.5) and the syslog records that carry them (A.6), from plain facts."""
