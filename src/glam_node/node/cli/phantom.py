"""The command `glam-node phantom`, which writes a synthetic exam."""

from typing import Annotated

import typer

from glam_node.node.cli.application import OutOption, writable


def phantom(
    out: OutOption,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the synthetic patient.")] = 1,
    rows: Annotated[int, typer.Option(min=64, max=8192, help="Rows of each image.")] = 3328,
    columns: Annotated[int, typer.Option(min=48, max=8192, help="Columns of each image.")] = 2560,
    monochrome1: Annotated[
        bool, typer.Option("--monochrome1", help="Store the images inverted (MONOCHROME1).")
    ] = False,
) -> None:
    """Write a synthetic four-view exam as DICOM files. It has one benign-like and one malignant-like lesion."""
    directory = writable(out)
    from glam_node.inference.phantom import make_exam

    photometric_interpretation = "MONOCHROME1" if monochrome1 else "MONOCHROME2"
    for view in make_exam(seed, rows=rows, columns=columns, photometric_interpretation=photometric_interpretation):
        dataset = view.dataset
        path = directory / f"{dataset.ImageLaterality}-{dataset.ViewPosition}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        typer.echo(str(path))
