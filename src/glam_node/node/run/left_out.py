"""What the receiver never uses, though libraries that it uses load it: half of its memory otherwise."""

import sys

# Decoders and arrays of pixels (pydicom), downloads of test files (pydicom), coloured tracebacks (structlog). Both look
# whether these are there, and do without.
NEVER_USED = (
    "PIL",
    "gdcm",
    "jpeg_ls",
    "libjpeg",
    "numpy",
    "openjpeg",
    "pylibjpeg",
    "requests",
    "rich",
    "rle",
)


def leave_out() -> None:
    """In this process these are not installed (https://docs.python.org/3/reference/import.html#the-module-cache)."""
    for name in NEVER_USED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
