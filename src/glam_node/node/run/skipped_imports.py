"""Modules that the processes of a command never use although their libraries import them, to save time and memory."""

import sys

# These are optional for the libraries that import them: pixel decoders and downloads (pydicom), coloured tracebacks
# (structlog), arrays.
_PIXELS = ("PIL", "gdcm", "jpeg_ls", "libjpeg", "openjpeg", "pylibjpeg", "rle")
# The key is the command, whose processes share the memory of what it imports.
NEVER_USED = {
    "receiver": (*_PIXELS, "rich", "requests", "numpy"),
    "worker": ("rich", "requests"),
    # Sign-in at a provider and traces use the library requests, the worker decodes, and the sender needs GDCM to
    # compress for archives that prefer RLE Lossless; without GDCM this is many times slower.
    "serve": ("rich",),
}


def skip_imports(command: str) -> None:
    """Make imports of modules that `command` never uses fail, by None in `sys.modules` (Python reference, 5.3.1)."""
    for name in NEVER_USED[command]:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def allow_imports() -> None:
    """Let code of the site, such as its own predictor, import the modules that `skip_imports` made fail.

    Call this once the process has imported its own modules: their libraries have then done without.
    """
    for name in NEVER_USED["worker"]:
        if sys.modules.get(name, sys) is None:
            del sys.modules[name]
