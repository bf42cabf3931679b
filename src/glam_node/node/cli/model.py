"""The command `glam-node model`, which imports, shows, verifies and times model packages."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    OutOption,
    SettingsOption,
    command_settings,
    output_directory,
    print_json,
    text_output,
)
from glam_node.node.domain.words import by_number

if TYPE_CHECKING:
    from glam_node.inference.package import ModelPackage
    from glam_node.inference.route_record import RouteDecision

ImagesOption = Annotated[
    Path | None,
    typer.Option(
        exists=True, file_okay=False, help="Also compute the published sample views, PNG files in this folder."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="Run the model on this device: auto, cpu, cuda or cuda:N.")]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Import, show, verify and time model packages.")


@app.command("import")
def import_(
    checkpoint: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A published GLAM .ckpt file.")],
    out: OutOption,
) -> None:
    """Convert a published GLAM checkpoint into a model package. Nothing that the file contains is executed."""
    directory = output_directory(out)
    from glam_node.inference.glam.checkpoint import convert_checkpoint

    package = convert_checkpoint(checkpoint, directory)
    print_package(package)
    typer.echo(f'To use it, set inference.package = "{directory.resolve()}"')
    typer.echo(f"To check it on another machine, run: glam-node model verify {directory}")


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
    """Check the digest of a model package, and show it with its card."""
    shown = _package(ctx, package, settings)
    if as_json:
        print_json({**asdict(shown), "operating_points": operating_points(shown)})
    else:
        print_package(shown)


def _package(ctx: typer.Context, path: Path | None, settings: Path | None) -> "ModelPackage":
    if path is not None:
        from glam_node.inference.package import read_package

        return read_package(path)
    configured = command_settings(ctx, settings)
    from glam_node.node.bootstrap import configured_package

    return configured_package(configured)


@app.command()
def verify(
    package: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A model package.")],
    images: ImagesOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Check the digests of a package and recompute its golden case. Exit with 1 if a value is out of tolerance.

    With --images, also compare the scores of a published checkpoint with those that its authors print.
    """
    from glam_node.inference.glam.package_verification import verify_package

    print_report(verify_package(package, images, device))


def golden(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A golden .npz file.")],
    images: ImagesOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Recompute the values of a golden file and compare them. Exit with 1 if one is out of tolerance."""
    from glam_node.research.golden.golden_file import verify_golden

    print_report(verify_golden(file, images, device))


@app.command("time")
def time_(
    ctx: typer.Context,
    studies: Annotated[
        int, typer.Option(min=1, max=1000, help="Time this number of studies, after one for warm-up.")
    ] = 3,
    rows: Annotated[int, typer.Option(min=64, max=8192, help="Make images with this number of rows.")] = 3328,
    columns: Annotated[int, typer.Option(min=48, max=8192, help="Make images with this number of columns.")] = 2560,
    routes: Annotated[
        bool,
        typer.Option("--routes", help="Show instead the route in force and the measured time of each open route."),
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="With --routes, measure the routes again.")] = False,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time the configured model with a synthetic exam. The output ends with a row for docs/sizing.md.

    Files are read and results are written as in a worker. Stop other workers first: they slow down the measurement.
    With --routes, show the time of each route that inference.runtime and inference.precision leave open.
    """
    configured = command_settings(ctx, settings)
    if again and not routes:
        raise typer.BadParameter("it needs --routes.", param_hint="--again")
    from glam_node.node.cli.model_time import TABLE, decide_route, measure

    if routes:
        print_routes(*decide_route(configured, again=again), as_json=as_json)
        return

    timing = measure(configured, studies, rows, columns)
    if as_json:
        print_json({**asdict(timing), "seconds": timing.seconds, "studies_per_hour": timing.studies_per_hour})
        return
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in timing.stage_seconds.items())
    first = f"the first study, which warms up, took {timing.study_seconds[0]:.1f} s"
    typer.echo(f"{timing.views} views of {rows} x {columns}; {first}")
    typer.echo(f"seconds of a study, median of {studies}: {stages}")
    typer.echo(f"results: {', '.join(timing.kinds)}\n")
    for line in (*TABLE, timing.table_row()):
        typer.echo(line)


def print_routes(route: str, decision: "RouteDecision", *, as_json: bool) -> None:
    """Print the route in force, the reason for it, and a table of the measured routes."""
    measurement = decision.measurement
    if as_json:
        print_json({"route": route, **asdict(decision)})
        return
    typer.echo(f"route in force: {route}\nreason: {decision.reason}")
    if decision.problem:
        typer.echo(f"warning: {decision.problem}")
    if measurement is None:
        return
    typer.echo(f"the measurement took {measurement.took_s:.1f} s\n")
    typer.echo(
        "| network | runtime | numbers | seconds | difference from torch | in force |\n|---|---|---|---|---|---|"
    )
    for one in measurement.times:
        seconds = "failed" if one.seconds is None else f"{one.seconds:.4f}"
        cells = (one.network, one.runtime, one.number_format, seconds, f"{one.error:.1e}")
        typer.echo(f"| {' | '.join(cells)} | {'yes' if one == measurement.chosen(one.network) else 'no'} |")


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
        _line(field.name, card_value(getattr(package.card, field.name)))
    typer.echo("For research use.")


def _line(name: str, value: object) -> None:
    typer.echo(f"{name:{_INDENT}}{value}")


def card_value(value: object) -> str:
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
    from rich.table import Table

    table = Table()
    for column in ("quantity", "cases", "largest error", "tolerance", "worst case", ""):
        table.add_column(column, justify="right" if column in _NUMBERS else "left")
    for row in report.quantities:
        verdict = "ok" if row.within_tolerance else "FAIL"
        table.add_row(
            row.name, str(row.cases), f"{row.largest_error:.2e}", f"{row.tolerance:g}", row.worst_case, verdict
        )
    text_output().print(table)
    for left_out in report.not_computed:
        typer.echo(f"not computed: {left_out.name}: {left_out.reason}")
    bad = sum(not row.within_tolerance for row in report.quantities)
    if not report.quantities:
        typer.echo("FAIL  no quantity could be compared")
    elif bad:
        are = by_number(bad, "is", "are")
        typer.echo(
            f"FAIL  {bad} of {len(report.quantities)} quantities {are} out of tolerance ({report.seconds:.1f} s)"
        )
    else:
        typer.echo(f"ok  all {len(report.quantities)} quantities are within tolerance ({report.seconds:.1f} s)")
    if not report.passed:
        raise typer.Exit(EXIT_FINDING)
