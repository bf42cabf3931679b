"""Progress bars on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bars(bar_of: Callable[[str], str] = str) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a progress callback `(label, done, total)`.

    On a terminal, the callback draws progress bars. If the total is 0, it prints the label as a line, on any output.

    Args:
        bar_of: A function that returns the name of the bar for a label; labels with the same name share a bar.
    """
    screen = Console(stderr=True, markup=False, emoji=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bars:

        def tell(doing: str, done: int, total: int) -> None:
            if not total:
                screen.print(f"step {done}: {doing}", highlight=False)
                return
            bar = bar_of(doing)
            if bar not in tasks:
                tasks[bar] = bars.add_task(doing, total=total)
            bars.update(tasks[bar], completed=done, total=total, description=doing)

        yield tell
