"""`glam-node train`"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from glam_node.node.cli.application import EXIT_FINDING, OutOption, complain, writable

if TYPE_CHECKING:
    from rich.progress import TaskID

# Reached by name: training imports torch.
RUN_TRAINING = "glam_node.inference.training.run:run_training"
FIND_RECIPE = "glam_node.inference.training.recipe:find_recipe"
_SHOWN_FAILURES = 20


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or the name of one that comes along: phantom, phantom-cam ...")
    ],
    out: OutOption,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N; torchrun chooses for each process.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that read and prepare images.")] = 2,
) -> None:
    """Train GLAM from image labels alone, as a recipe says; goes on where an earlier run into DIR was stopped.

    Several devices: torchrun --nproc-per-node N -m glam_node train ... Research use.
    """
    directory = writable(out)
    from glam_node.inference.predictor import load_object

    path = load_object(FIND_RECIPE)(recipe)
    with _progress() as progress:
        trained = load_object(RUN_TRAINING)(path, directory, device=device, workers=workers, tell=progress)
    for failure in trained.failures[:_SHOWN_FAILURES]:
        typer.echo(f"not prepared: {failure}")
    typer.echo(
        f"ok  trained on {trained.training_views} views, validated on {trained.validation_views}: {trained.package}; "
        f"next choose operating points: glam-node evaluate --package {trained.package} --data KIND:PATH "
        "--out DIR --write-operating-points"
    )
    if trained.failures:
        complain(f"{len(trained.failures)} views could not be prepared and were left out.")
        raise typer.Exit(EXIT_FINDING)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """One bar for each kind of work on standard error; lines where nobody watches."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bars:

        def tell(doing: str, done: int, total: int) -> None:
            if not total:
                screen.print(f"step {done}: {doing}", highlight=False)
                return
            kind = doing.split(",")[0]
            if kind not in tasks:
                tasks[kind] = bars.add_task(doing, total=total)
            bars.update(tasks[kind], completed=done, total=total, description=doing)

        yield tell
