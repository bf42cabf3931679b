"""The command `glam-node research guard-report`: how often the guard refuses images, and copies of them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from glam_node.node.cli.application import EXIT_FINDING, JsonOption, print_json, text_output
from glam_node.node.cli.evaluate import DatasetOption, dataset_option, named_dataset
from glam_node.node.domain.words import counted


def guard_report(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DIR",
            help="A folder of DICOM files, one folder inside it for each source; or a data set as KIND:PATH.",
        ),
    ],
    option: DatasetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count views that the guard refuses, and copies that are mirrored, turned or upside down and that it lets pass.

    Exit code 1 when no image could be read as a view. Research use.
    """
    from glam_node.node.cli.progress import progress_bars
    from glam_node.research.datasets.open import open_dataset
    from glam_node.research.evaluation.guard_report import report_on, views_of_dataset, views_of_folder

    folder = Path(data)
    if folder.is_dir():
        if option:
            raise typer.BadParameter("options are for a data set, KIND:PATH.", param_hint="--option")
        views = list(views_of_folder(folder))
    else:
        kind, path = named_dataset(data, "DIR")
        views = list(views_of_dataset(open_dataset(kind, path, **dict(dataset_option(each) for each in option or ()))))
    with progress_bars() as progress:
        report = report_on(views, lambda done: progress("judging", done, len(views)))
    if as_json:
        print_json(_as_table(report))
    else:
        _print(report)
    if not report.counts:
        raise typer.Exit(EXIT_FINDING)


def _as_table(report: Any) -> dict[str, Any]:
    return {
        "views": [
            {
                "source": source,
                "view_position": view_position,
                "orientation": orientation,
                "views": counts.views,
                "refused": counts.refused,
                "remarked": counts.remarked,
                "passed": counts.passed,
            }
            for (source, view_position, orientation), counts in sorted(report.counts.items())
        ],
        "refusals": _reasons(report.refusals),
        "unread": _reasons(report.unread),
    }


def _reasons(counted_reasons: Any) -> list[dict[str, Any]]:
    return [
        {"source": source, "reason": reason, "images": images}
        for (source, reason), images in counted_reasons.most_common()
    ]


def _print(report: Any) -> None:
    from rich.table import Table

    table = Table(title="Views as they are stored, and copies of those that were not refused", title_justify="left")
    for number, column in enumerate(("source", "view", "orientation", "views", "refused", "remarked", "passed")):
        table.add_column(column, justify="right" if number > 2 else "left")
    for (source, view_position, orientation), counts in report.counts.items():
        numbers = (counts.views, counts.refused, counts.remarked, counts.passed)
        table.add_row(source, view_position, orientation, *map(str, numbers))
    text_output().print(table)
    for title, reasons in (("refused", report.refusals), ("not read", report.unread)):
        for (source, reason), images in reasons.most_common():
            typer.echo(f"{title}: {source}, {counted(images, 'image')}: {reason}")
    if not report.counts:
        typer.echo("No image could be read as a mammographic view. Check the path.")
