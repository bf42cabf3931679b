"""The command `glam-node research train`, which trains GLAM from image labels."""

from pathlib import Path
from typing import Annotated

import typer

from glam_node.node.cli.application import EXIT_FINDING, OutOption, output_directory, print_error
from glam_node.node.domain.words import counted

_SHOWN_FAILURES = 20


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or the name of a built-in recipe such as phantom or cbis-mass.")
    ],
    out: OutOption,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Read all images here, not where the recipe says."),
    ] = None,
    device: Annotated[
        str,
        typer.Option(help="Train on this device: auto, cpu, cuda or cuda:N; torchrun chooses one for each process."),
    ] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Read and prepare images with this number of processes.")] = 2,
) -> None:
    """Train GLAM from image labels alone by a recipe. An earlier run in the same directory is resumed.

    Several devices: torchrun --nproc-per-node N -m glam_node research train ... Research use.
    """
    directory = output_directory(out)
    from glam_node.node.cli.progress import progress_bars
    from glam_node.research.training.recipe import find_recipe
    from glam_node.research.training.run import run_training

    path = find_recipe(recipe)
    # A label is for example "global stage, loss 0.3": there is one bar for each stage.
    with progress_bars(lambda doing: doing.split(",")[0]) as progress:
        trained = run_training(path, directory, data=data, device=device, workers=workers, tell=progress)
    for failure in trained.failures[:_SHOWN_FAILURES]:
        typer.echo(f"not prepared: {failure}")
    typer.echo(
        f"ok  trained on {trained.training_views} views, validated on {trained.validation_views}: {trained.package}; "
        f"next choose operating points: glam-node research evaluate --package {trained.package} --data KIND:PATH "
        "--out DIR --write-operating-points"
    )
    if trained.failures:
        print_error(f"{counted(len(trained.failures), 'view')} could not be prepared and were left out.")
        raise typer.Exit(EXIT_FINDING)
