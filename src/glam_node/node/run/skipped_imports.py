"""Modules that a process never uses although its libraries import them; they would double the receiver's memory."""

import sys

# These are optional for the libraries that import them: pixel decoders and downloads (pydicom), coloured tracebacks
# (structlog), arrays.
_PIXELS = ("PIL", "gdcm", "jpeg_ls", "libjpeg", "openjpeg", "pylibjpeg", "rle")
# The key is the module of this package that the process runs.
NEVER_USED = {
    "receiver": (*_PIXELS, "rich", "requests", "numpy"),
    # The dispatcher sends traces with the library requests.
    "dispatcher": (*_PIXELS, "rich"),
    # The sender needs GDCM to compress for archives that prefer RLE Lossless; without GDCM this is many times slower.
    "sender": ("PIL", "jpeg_ls", "rich", "requests"),
    "worker": ("rich", "requests"),
    # Sign-in at a provider uses the library requests.
    "console": ("rich",),
    "all_in_one": (*_PIXELS, "numpy", "rich", "requests"),
}


def skip_imports(process: str) -> None:
    """Make imports of modules that `process` never uses fail, by None in `sys.modules` (Python reference, 5.3.1)."""
    for name in NEVER_USED[process]:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def allow_imports(process: str) -> None:
    """Let code of the site, such as its own predictor, import the modules that `skip_imports` made fail.

    Call this once the process has imported its own modules: their libraries have then done without.
    """
    for name in NEVER_USED[process]:
        if sys.modules.get(name, sys) is None:
            del sys.modules[name]
