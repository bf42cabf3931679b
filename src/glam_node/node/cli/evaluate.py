"""The commands `glam-node research evaluate` and `compare`, which measure model packages on labelled images."""

import os
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    OutOption,
    output_directory,
    print_json,
    text_output,
)
from glam_node.node.domain.words import counted

_SHOWN_FAILURES = 20


DATA = typer.Option(
    metavar="KIND:PATH",
    help="Measure on these labelled images, for example folder:images, cbis-ddsm:/data or phantoms:FIRST..LAST.",
)
ValidationOption = Annotated[
    str | None,
    typer.Option(
        metavar="KIND:PATH",
        help="Choose thresholds on these images. Default: the validation part of --data, or half of its studies.",
    ),
]
DatasetOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Set an option of the data set, for example rows=1664; may be repeated."),
]
SensitivityOption = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="Choose the score threshold that reaches this sensitivity on the validation images."
    ),
]
SpecificityOption = Annotated[
    float | None, typer.Option(min=0, max=1, help="Reach this specificity instead of --sensitivity.")
]
FalsePositivesOption = Annotated[
    float, typer.Option(min=0, help="Allow this number of findings per normal validation image and class.")
]
BootstrapOption = Annotated[int, typer.Option(min=0, help="Compute the 95 % intervals from this number of resamples.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Draw the resamples from this seed.")]
GalleryOption = Annotated[
    int, typer.Option(min=0, help="Draw this number of best, worst and false-positive images per class.")
]
DeviceOption = Annotated[str, typer.Option(help="Run the model on this device: auto, cpu, cuda or cuda:N.")]


def evaluate(
    package: Annotated[
        Path, typer.Option("--package", exists=True, file_okay=False, metavar="DIR", help="Measure this model package.")
    ],
    data: Annotated[str, DATA],
    out: OutOption,
    validation: ValidationOption = None,
    option: DatasetOption = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            file_okay=False,
            metavar="DIR",
            help="Also measure this package on the same images; may be repeated.",
        ),
    ] = None,
    sensitivity: SensitivityOption = 0.95,
    specificity: SpecificityOption = None,
    false_positives: FalsePositivesOption = 0.2,
    keep_operating_points: Annotated[
        bool, typer.Option("--keep-operating-points", help="Measure findings at the package's own operating points.")
    ] = False,
    write_operating_points: Annotated[
        bool, typer.Option("--write-operating-points", help="Write the operating points chosen here into the package.")
    ] = False,
    write_reference: Annotated[
        bool,
        typer.Option("--write-reference", help="Write the mean scores into the package."),
    ] = False,
    bootstrap: BootstrapOption = 2000,
    seed: SeedOption = 1,
    gallery: GalleryOption = 3,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Measure a model package on labelled images. report.html, metrics.json, predictions and site.toml go to DIR.

    Thresholds are chosen on validation images and frozen; site.toml has them, and calibrations, as settings of a node.
    Exit code 1 when a view could not be measured. Research use.
    """
    if write_operating_points and keep_operating_points:
        raise typer.BadParameter(
            "--keep-operating-points chooses no operating points to write.", param_hint="--write-operating-points"
        )
    if write_operating_points or write_reference:
        _require_writable(package, "--write-operating-points" if write_operating_points else "--write-reference")
    named, chosen_on = named_dataset(data, "--data"), named_dataset(validation, "--validation") if validation else None
    options = dict(dataset_option(each) for each in option or ())
    directory = output_directory(out)
    from glam_node.node.cli.progress import progress_bars
    from glam_node.research.evaluation.evaluate_package import run_evaluation

    with progress_bars() as progress:
        outcome = run_evaluation(
            package,
            named,
            directory,
            datetime.now(UTC),
            validation=chosen_on,
            options=options,
            compare=compare or (),
            sensitivity=sensitivity,
            specificity=specificity,
            false_positives_per_normal=false_positives,
            keep_operating_points=keep_operating_points,
            write_operating_points=write_operating_points,
            write_reference=write_reference,
            resamples=bootstrap,
            seed=seed,
            device=device,
            gallery=gallery,
            progress=progress,
        )
    if as_json:
        print_json({**asdict(outcome), "package": package})
    else:
        _print(outcome, package)
    if outcome.failures or (write_operating_points and outcome.remarks):
        raise typer.Exit(EXIT_FINDING)


def compare(
    packages: Annotated[
        list[Path],
        typer.Argument(
            metavar="PACKAGE",
            exists=True,
            file_okay=False,
            help="The model packages, or directories that research evaluate wrote; the first is the reference.",
        ),
    ],
    out: OutOption,
    data: Annotated[str | None, DATA] = None,
    validation: ValidationOption = None,
    option: DatasetOption = None,
    sensitivity: SensitivityOption = 0.95,
    specificity: SpecificityOption = None,
    false_positives: FalsePositivesOption = 0.2,
    bootstrap: BootstrapOption = 2000,
    seed: SeedOption = 1,
    gallery: GalleryOption = 3,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Compare model packages on the same labelled images. The report goes to DIR.

    With --data the same as `research evaluate` with the first package as --package and the others as --compare.
    Without --data, directories that `research evaluate` wrote are compared from their predictions; the result is
    comparison.json. Differences have 95 % intervals and p values (DeLong, permutation).
    Exit code 1 when a view could not be measured. Research use.
    """
    first, *others = packages
    if not others:
        raise typer.BadParameter("name at least two packages.", param_hint="PACKAGE")
    if data is None:
        _compare_results(packages, output_directory(out), bootstrap, seed, as_json=as_json)
        return
    evaluate(
        first,
        data,
        out,
        validation,
        option,
        others,
        sensitivity,
        specificity,
        false_positives,
        bootstrap=bootstrap,
        seed=seed,
        gallery=gallery,
        device=device,
        as_json=as_json,
    )


def _compare_results(directories: list[Path], out: Path, bootstrap: int, seed: int, *, as_json: bool) -> None:
    from glam_node.research.evaluation.compare_results import compare_results, is_evaluation

    for directory in directories:
        if not is_evaluation(directory):
            raise typer.BadParameter(
                f"{directory} has no results of research evaluate. Name --data to measure packages.",
                param_hint="PACKAGE",
            )
    compared = compare_results(directories, out, bootstrap, seed)
    if as_json:
        print_json(asdict(compared))
        return
    _print_tables(compared.tables)
    for remark in compared.remarks:
        typer.echo(remark)
    typer.echo(f"ok  compared; {compared.file}")


def _require_writable(package: Path, hint: str) -> None:
    """Check that the package can be written, before time is spent on the measurement.

    Raises:
        typer.BadParameter: The package cannot be written.
    """
    from glam_node.inference.card import PACKAGE_FILE

    if not os.access(package / PACKAGE_FILE, os.W_OK):
        raise typer.BadParameter(f"{package / PACKAGE_FILE} cannot be written.", param_hint=hint)


def named_dataset(text: str, hint: str) -> tuple[str, str]:
    """Return the kind and the path of a data set given as KIND:PATH.

    For phantoms, the range of seeds FIRST..LAST becomes FIRST:END, where END is LAST + 1.

    Raises:
        typer.BadParameter: The text is not KIND:PATH, or the kind is not known.
    """
    from glam_node.research.datasets.open import KINDS

    kind, colon, path = text.partition(":")
    if not colon or not path or kind not in KINDS:
        raise typer.BadParameter(f"{text!r} is not KIND:PATH; kinds are {', '.join(KINDS)}.", param_hint=hint)
    first, dots, last = path.partition("..")
    if kind == "phantoms" and dots and first.isdecimal() and last.isdecimal():
        path = f"{first}:{int(last) + 1}"
    return kind, path


def dataset_option(text: str) -> tuple[str, str]:
    """Return the name and the value of an option given as NAME=VALUE.

    Raises:
        typer.BadParameter: The text is not NAME=VALUE.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="--option")
    return name, value


def _print_tables(tables: Iterable[Any]) -> None:
    from rich.table import Table

    screen = text_output()
    for given in tables:
        table = Table(title=given.title, title_justify="left")
        for number, column in enumerate(given.columns):
            table.add_column(column, justify="right" if number else "left")
        for row in given.rows:
            table.add_row(*row)
        screen.print(table)


def _print(outcome: Any, package: Path) -> None:
    _print_tables(outcome.tables)
    for remark in outcome.remarks:
        typer.echo(remark)
    for failure in outcome.failures[:_SHOWN_FAILURES]:
        typer.echo(f"not measured: {failure}")
    if len(outcome.failures) > _SHOWN_FAILURES:
        typer.echo(f"... and {len(outcome.failures) - _SHOWN_FAILURES} more; metrics.json lists all")
    for path in outcome.files:
        typer.echo(str(path))
    typer.echo(_last_line(outcome, package))


def _last_line(outcome: Any, package: Path) -> str:
    """Return the outcome and the next step as one line of text."""
    report = f"open {outcome.files[0]}"
    if outcome.failures:
        return f"{counted(len(outcome.failures), 'view')} could not be measured, see above; for the others {report}"
    if outcome.written_points or outcome.written_reference:
        what = "operating points for" if outcome.written_points else "mean scores of"
        written = " and ".join(outcome.written_points or outcome.written_reference)
        return f"ok  {what} {written} are in {package}; restart the workers that use it, and {report}"
    return f"ok  measured; {report}"
