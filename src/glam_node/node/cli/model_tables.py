"""The text output of `glam-node model`: a package with its card, and a comparison with golden values."""

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from glam_node.node.cli.application import EXIT_FINDING, console

if TYPE_CHECKING:
    from glam_node.inference.package import ModelPackage

_NUMBERS = ("cases", "largest error", "tolerance")
_INDENT = 28


def operating_points(package: "ModelPackage") -> dict[str, Any]:
    """Return the operating points of `package` for JSON."""
    return {str(kind): asdict(point) for kind, point in package.operating_points.items()}


def print_package(package: "ModelPackage") -> None:
    """Print the name, digest, operating points, calibration, mean scores, parameters, shape and card of a package."""
    state = "trained" if package.trained else "UNTRAINED: its scores and findings are meaningless"
    source = "weights file, digest checked" if package.seed is None else f"made from seed {package.seed}"
    typer.echo(f"{package.algorithm_name} {package.algorithm_version} ({package.architecture}), {state}")
    _line("path", package.path)
    _line("weights", source)
    _line("weights_sha256", package.weights_sha256)
    for kind, point in operating_points(package).items():
        _line(kind, ", ".join(f"{name} {value:g}" for name, value in point.items()))
    for kind, scale in package.calibration.items():
        _line(f"{kind} calibration", ", ".join(f"{name} {value:g}" for name, value in asdict(scale).items()))
    for kind, mean in package.reference.items():
        _line(f"{kind} reference score", f"{mean:g}")
    for name, value in package.parameters.items():
        _line(name, value)
    if package.shape:
        _line("shape", ", ".join(f"{name} {value}" for name, value in package.shape.items()))
    for field in fields(package.card):
        _line(field.name, written(getattr(package.card, field.name)))
    typer.echo("For research use.")


def _line(name: str, value: object) -> None:
    typer.echo(f"{name:{_INDENT}}{value}")


def written(value: object) -> str:
    """Return a value of the card as text, for example "0.2 to 0.7" for a range; "not stated" if it is empty."""
    if isinstance(value, tuple):
        ranged = value and all(isinstance(one, float) for one in value)
        value = " to ".join(f"{one:g}" for one in value) if ranged else ", ".join(map(str, value))
    return str(value) or "not stated"


def print_report(report: Any) -> None:
    """Print a GoldenReport: one line per quantity, the quantities that were not computed, and the verdict.

    Raises:
        typer.Exit: With code 1, if a quantity is out of tolerance or nothing could be compared.
    """
    table = Table()
    for column in ("quantity", "cases", "largest error", "tolerance", "worst case", ""):
        table.add_column(column, justify="right" if column in _NUMBERS else "left")
    for row in report.quantities:
        verdict = "ok" if row.within_tolerance else "FAIL"
        table.add_row(
            row.name, str(row.cases), f"{row.largest_error:.2e}", f"{row.tolerance:g}", row.worst_case, verdict
        )
    console().print(table)
    for left_out in report.not_computed:
        typer.echo(f"not computed: {left_out.name}: {left_out.reason}")
    bad = sum(not row.within_tolerance for row in report.quantities)
    if not report.quantities:
        typer.echo("FAIL  nothing could be compared")
    elif bad:
        typer.echo(f"FAIL  {bad} of {len(report.quantities)} quantities are out of tolerance ({report.seconds:.1f} s)")
    else:
        typer.echo(f"ok  all {len(report.quantities)} quantities are within tolerance ({report.seconds:.1f} s)")
    if not report.passed:
        raise typer.Exit(EXIT_FINDING)
