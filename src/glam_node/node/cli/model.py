"""The command `glam-node model`, which imports, shows, verifies and times model packages."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glam_node.node.cli.application import JsonOption, OutOption, SettingsOption, print_json, settings_of, writable
from glam_node.node.cli.model_tables import operating_points, print_package, print_report

if TYPE_CHECKING:
    from glam_node.inference.package import ModelPackage

# Names instead of imports, because importing these modules imports torch.
CONVERT_CHECKPOINT = "glam_node.inference.glam.checkpoint:convert_checkpoint"
VERIFY_PACKAGE = "glam_node.inference.glam.package_verification:verify_package"
VERIFY_GOLDEN = "glam_node.research.golden.golden_file:verify_golden"

ImagesOption = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="Folder with the published sample views as PNG files.")
]
DeviceOption = Annotated[str, typer.Option(help="Device: auto, cpu, cuda or cuda:N.")]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Import, show, verify and time model packages.")


@app.command("import")
def import_(
    checkpoint: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A published GLAM .ckpt file.")],
    out: OutOption,
) -> None:
    """Convert a published GLAM checkpoint into a model package. Nothing that the file contains is executed."""
    directory = writable(out)
    from glam_node.inference.predictor import load_object

    package: ModelPackage = load_object(CONVERT_CHECKPOINT)(checkpoint, directory)
    print_package(package)
    typer.echo(f'Use it: inference.package = "{directory.resolve()}"')
    typer.echo(f"Prove it on another machine: glam-node model verify {directory}")


@app.command()
def show(
    ctx: typer.Context,
    package: Annotated[
        Path | None,
        typer.Argument(
            exists=True, file_okay=False, help="A model package. Default: the package that the settings name."
        ),
    ] = None,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the digest of a model package and show the package with its card."""
    shown = _package(ctx, package, settings)
    if as_json:
        print_json({**asdict(shown), "operating_points": operating_points(shown)})
    else:
        print_package(shown)


def _package(ctx: typer.Context, path: Path | None, settings: Path | None) -> "ModelPackage":
    if path is not None:
        from glam_node.inference.package import read_package

        return read_package(path)
    configured = settings_of(ctx, settings)
    from glam_node.node.bootstrap import configured_package

    return configured_package(configured)


@app.command()
def verify(
    package: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A model package.")],
    images: ImagesOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Check the digests of a package and recompute its golden case. Exit with 1 if a value is out of tolerance.

    With --images the scores of a published checkpoint are compared with those that its authors print.
    """
    from glam_node.inference.predictor import load_object

    print_report(load_object(VERIFY_PACKAGE)(package, images, device))


@app.command()
def golden(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A golden .npz file.")],
    images: ImagesOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Recompute the values of a golden file and compare them. Exit with 1 if one is out of tolerance."""
    from glam_node.inference.predictor import load_object

    print_report(load_object(VERIFY_GOLDEN)(file, images, device))


@app.command("time")
def time_(
    ctx: typer.Context,
    studies: Annotated[
        int, typer.Option(min=1, max=1000, help="Number of studies to time, after one for warm-up.")
    ] = 3,
    rows: Annotated[int, typer.Option(min=64, max=8192, help="Rows of each image.")] = 3328,
    columns: Annotated[int, typer.Option(min=48, max=8192, help="Columns of each image.")] = 2560,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time the configured model on its device with a synthetic exam and print a row for docs/sizing.md.

    Files are read and results written as a worker does. A worker that runs meanwhile takes its share: stop it first.
    """
    configured = settings_of(ctx, settings)
    from glam_node.node.cli.model_time import TABLE, measure

    timing = measure(configured, studies, rows, columns)
    if as_json:
        print_json({**asdict(timing), "seconds": timing.seconds, "studies_per_hour": timing.studies_per_hour})
        return
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in timing.stage_seconds.items())
    first = f"the first study, which warms up, took {timing.study_seconds[0]:.1f} s"
    typer.echo(f"{timing.views} views of {rows} x {columns}; {first}")
    typer.echo(f"seconds of a study, median of {studies}: {stages}")
    typer.echo(f"results: {', '.join(timing.kinds)}\n")
    for line in (*TABLE, timing.line()):
        typer.echo(line)
