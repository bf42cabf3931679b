"""Folder layout of collections downloaded by the NBIA Data Retriever of The Cancer Imaging Archive."""

from collections.abc import Iterator
from pathlib import Path


def collection_folders(path: Path, collection: str) -> list[Path]:
    """Return the folders that may hold the images: manifest-<number>/<collection>, <collection>, or `path`."""
    candidates = (*sorted(path.glob(f"manifest-*/{collection}")), path / collection)
    return [folder for folder in candidates if folder.is_dir()] or [path]


def dicom_files(folder: Path) -> Iterator[Path]:
    """Yield every file with the suffix .dcm under `folder`, in order."""
    return (file for file in sorted(folder.rglob("*")) if file.suffix.lower() == ".dcm")
