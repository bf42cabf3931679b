"""`glam-node model`: import, show, golden"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    OutOption,
    SettingsOption,
    console,
    print_json,
    settings_of,
    writable,
)

if TYPE_CHECKING:
    from glam_node.inference.package import ModelPackage

# Reached by name: a module that imports torch is never imported by the node itself.
CONVERT_CHECKPOINT = "glam_node.inference.glam.checkpoint:convert_checkpoint"
VERIFY_GOLDEN = "glam_node.inference.glam.golden:verify_golden"

app = typer.Typer(no_args_is_help=True, help="Model packages: make one from a checkpoint, show one, prove the code.")


@app.command("import")
def import_(
    checkpoint: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A published GLAM .ckpt file.")],
    out: OutOption,
) -> None:
    """Convert a published GLAM checkpoint, once, into a model package."""
    directory = writable(out)
    from glam_node.inference.predictor import load_object

    package: ModelPackage = load_object(CONVERT_CHECKPOINT)(checkpoint, directory)
    _print_package(package)
    typer.echo(f'Use it: inference.package = "{directory.resolve()}"')


@app.command()
def show(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Show the model package in force, after its digest was checked."""
    configured = settings_of(ctx, settings)
    from glam_node.node.bootstrap import configured_package

    package = configured_package(configured)
    if as_json:
        print_json({**asdict(package), "operating_points": _points(package)})
    else:
        _print_package(package)


@app.command()
def golden(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A golden .npz file.")],
    images: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder with the real views as PNG files.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Recompute the values of a golden file and compare; exit code 1 when one is out of tolerance."""
    from glam_node.inference.predictor import load_object

    report = load_object(VERIFY_GOLDEN)(file, images, device)
    table = Table()
    for column in ("quantity", "cases", "largest error", "tolerance", "worst case", ""):
        table.add_column(column, justify="right" if column in ("cases", "largest error", "tolerance") else "left")
    for row in report.quantities:
        verdict = "ok" if row.within_tolerance else "FAIL"
        table.add_row(
            row.name, str(row.cases), f"{row.largest_error:.2e}", f"{row.tolerance:g}", row.worst_case, verdict
        )
    console().print(table)
    for left_out in report.not_computed:
        typer.echo(f"not computed: {left_out.name}: {left_out.reason}")
    bad = sum(not row.within_tolerance for row in report.quantities)
    if not report.passed:
        typer.echo(f"FAIL  {bad} of {len(report.quantities)} quantities are out of tolerance ({report.seconds:.1f} s)")
        raise typer.Exit(EXIT_FINDING)
    typer.echo(f"ok  all {len(report.quantities)} quantities are within tolerance ({report.seconds:.1f} s)")


def _points(package: "ModelPackage") -> dict[str, Any]:
    return {str(kind): asdict(point) for kind, point in package.operating_points.items()}


def _print_package(package: "ModelPackage") -> None:
    state = "trained" if package.trained else "UNTRAINED: its scores and findings are meaningless"
    source = "weights file, digest checked" if package.seed is None else f"made from seed {package.seed}"
    typer.echo(f"{package.algorithm_name} {package.algorithm_version} ({package.architecture}), {state}")
    typer.echo(f"path            {package.path}")
    typer.echo(f"weights         {source}")
    typer.echo(f"weights_sha256  {package.weights_sha256}")
    for kind, point in _points(package).items():
        typer.echo(f"{kind:15} {', '.join(f'{name} {value:g}' for name, value in point.items())}")
    for name, value in package.parameters.items():
        typer.echo(f"{name:15} {value}")
    typer.echo("For research use.")
