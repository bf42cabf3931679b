"""The commands that need no data: `glam-node demo` and `phantom`."""

import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glam_node.node.cli.application import EXIT_FINDING, OutOption, output_directory, print_scores, text_output

if TYPE_CHECKING:
    from rich.console import Console

    from glam_node.node.demo.scenario import DemoResult, StudyResult


def demo(
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            exists=True,
            file_okay=False,
            help="Send the DICOM files in this folder instead of the synthetic exam.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Write all files of the demo to this folder.")] = Path(
        "glam-node-demo"
    ),
    fast: Annotated[
        bool, typer.Option("--fast", help="Use a small exam and no neural network: bright regions become findings.")
    ] = False,
) -> None:
    """Run the main job once with a synthetic exam. The node analyses it and an archive stores the results."""
    from glam_node.node.demo.scenario import run_demo
    from glam_node.node.observe import logs

    logs.configure("error", "console")
    folder = output_directory(out)
    screen = text_output()
    screen.print("glam-node demo. For research use: not a medical device.")
    with _Steps(screen) as steps:
        outcome = run_demo(folder, source=source, fast=fast, tell=steps.tell)
    _print(outcome, screen)
    if any(result.findings is None for result in outcome.results):
        raise typer.Exit(EXIT_FINDING)


class _Steps:
    """Display of the demo's steps: a spinner for the current step, and a line with the time of each finished step."""

    def __init__(self, screen: "Console") -> None:
        self._screen = screen
        self._status = screen.status("")
        self._step = ""
        self._since = time.monotonic()

    def __enter__(self) -> "_Steps":
        self._status.start()
        return self

    def __exit__(self, failure: object, *_rest: object) -> None:
        self._finish("ok" if failure is None else "--")
        self._status.stop()

    def tell(self, step: str) -> None:
        """Show a new step; do nothing if `step` is the current step."""
        if step == self._step:
            return
        self._finish("ok")
        self._step, self._since = step, time.monotonic()
        self._status.update(step)

    def _finish(self, verdict: str) -> None:
        if self._step:
            self._screen.print(f"  {verdict}  {self._step}  ({time.monotonic() - self._since:.1f} s)")


def _print(outcome: "DemoResult", screen: "Console") -> None:
    for result in outcome.results:
        _print_result(result, screen)
    for reason in outcome.left_out:
        screen.print(f"Not read: {reason}")
    pictures = [picture for result in outcome.results for picture in result.pictures]
    if pictures:
        screen.print("\nPictures, drawn from the segmentation objects in the archive:")
        for picture in pictures:
            screen.print(f"  {picture}", soft_wrap=True)
    _print_next(outcome, screen)


def _print_result(result: "StudyResult", screen: "Console") -> None:
    from rich.table import Table

    from glam_node.node.workflow.operate.study_progress import stage_seconds

    study = result.progress.study
    screen.print(f"\nStudy {study.study_instance_uid}: {study.state}")
    if result.findings is None:
        screen.print(f"  {study.reason}")
        return
    print_scores(result.findings, screen)
    objects = Table("object in the archive", "how many")
    for kind, count in result.object_counts.items():
        objects.add_row(kind, str(count))
    screen.print(objects)
    seconds = Table("stage", "seconds")
    for stage, duration in stage_seconds(result.progress):
        seconds.add_row(stage, f"{duration:.2f}")
    screen.print(seconds)


def _print_next(outcome: "DemoResult", screen: "Console") -> None:
    settings = f"--settings {shlex.quote(os.path.relpath(outcome.settings_path))}"
    archive = os.path.relpath(outcome.archive)
    screen.print(
        f"\nThe archive's objects are in {archive}; any DICOM viewer can open them.", markup=False, soft_wrap=True
    )
    screen.print("What next:")
    for command, purpose in (
        (f"{settings} study list", "the studies of this demo"),
        (f"{settings} study show UID", "every step of a study with its time"),
        ("demo --input DIR", "the same with your own MG files"),
        ("settings explain --format toml", "a settings file to connect your PACS; see README.md"),
    ):
        screen.print(f"  {_program()} {command:44} {purpose}", soft_wrap=True)


def _program() -> str:
    """Return the command that starts this program again from the user's shell."""
    return "glam-node" if shutil.which("glam-node") else shlex.quote(os.path.relpath(sys.argv[0]))


def phantom(
    out: OutOption,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Draw the synthetic patient from this seed.")] = 1,
    rows: Annotated[int, typer.Option(min=64, max=8192, help="Make images with this number of rows.")] = 3328,
    columns: Annotated[int, typer.Option(min=48, max=8192, help="Make images with this number of columns.")] = 2560,
    monochrome1: Annotated[
        bool, typer.Option("--monochrome1", help="Store the images inverted (MONOCHROME1).")
    ] = False,
) -> None:
    """Write a synthetic four-view exam as DICOM files. It has one benign-like and one malignant-like lesion."""
    directory = output_directory(out)
    from glam_node.inference.phantom import make_exam

    photometric_interpretation = "MONOCHROME1" if monochrome1 else "MONOCHROME2"
    for view in make_exam(seed, rows=rows, columns=columns, photometric_interpretation=photometric_interpretation):
        dataset = view.dataset
        path = directory / f"{dataset.ImageLaterality}-{dataset.ViewPosition}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        typer.echo(str(path))
