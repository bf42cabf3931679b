"""MkDocs hook: the pages of the reference that the code itself writes."""

from typing import Any

from mkdocs.structure.files import File, Files

from glam_node.node.observe.metrics import METRICS
from glam_node.settings.reference import reference

_METRICS_HEAD = """\
# Metrics

Of `/metrics`, in Prometheus's format, where `console.port` is set. All are gauges, read off database and machine when
asked.

| metric | labels | meaning |
|---|---|---|
"""


def on_files(files: Files, config: Any) -> Files:
    """settings.md and metrics.md are among the pages."""
    rows = [f"| `{one.name}` | {', '.join(f'`{label}`' for label in one.labels)} | {one.meaning} |" for one in METRICS]
    files.append(File.generated(config, "settings.md", content=reference()))
    files.append(File.generated(config, "metrics.md", content=_METRICS_HEAD + "\n".join(rows) + "\n"))
    return files
