"""What a process never uses, though libraries that it uses load it: half of the receiver's memory otherwise."""

import sys

# Decoders of pixels (pydicom), coloured tracebacks (structlog), downloads of test files (pydicom), arrays. All of these
# look whether they are there, and do without.
_PIXELS = ("PIL", "gdcm", "jpeg_ls", "libjpeg", "openjpeg", "pylibjpeg", "rle")
# By the module of this package that is its main
NEVER_USED = {
    "receiver": (*_PIXELS, "rich", "requests", "numpy"),
    # Sends traces by requests
    "dispatcher": (*_PIXELS, "rich"),
    # Compresses for archives that prefer RLE Lossless: by GDCM, or many times as slowly
    "sender": ("PIL", "jpeg_ls", "rich", "requests"),
    # Its errors are written by rich
    "all_in_one": (*_PIXELS, "requests"),
}


def leave_out(process: str) -> None:
    """In this process these are not installed (https://docs.python.org/3/reference/import.html#the-module-cache)."""
    for name in NEVER_USED[process]:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
