"""Bars on standard error while long work goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bars(bar_of: Callable[[str], str] = str) -> Iterator[Callable[[str, int, int], None]]:
    """Gives what tells of the work: what is done, how much of it, of how many; bars only where a person watches.

    What `bar_of` gives the same name shares a bar. A total of 0 is a line, also where nobody watches.
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
