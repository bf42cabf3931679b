"""Collections as the NBIA Data Retriever of The Cancer Imaging Archive lays them out."""

from collections.abc import Iterator
from pathlib import Path


def collection_folders(path: Path, collection: str) -> list[Path]:
    """Where under `path` images of the collection may be: manifest-<number>/<collection>, <collection>, or `path`."""
    candidates = (*sorted(path.glob(f"manifest-*/{collection}")), path / collection)
    return [folder for folder in candidates if folder.is_dir()] or [path]


def dicom_files(folder: Path) -> Iterator[Path]:
    """Every file with the suffix of a DICOM file under `folder`, in order."""
    return (file for file in sorted(folder.rglob("*")) if file.suffix.lower() == ".dcm")
