"""MkDocs hook: the pages of the reference that the code itself writes."""

from dataclasses import asdict
from typing import Any

from mkdocs.structure.files import File, Files

from glam_node.inference.card import DEFAULT_PACKAGE, card_table
from glam_node.inference.package import read_package
from glam_node.node.cli.model import card_value
from glam_node.node.observe.metrics import METRICS
from glam_node.settings.reference import reference

_METRICS_HEAD = """\
# Metrics

Of `/metrics`, in Prometheus's format, where `console.port` is set. All are gauges, read off database and machine when
asked.

| metric | labels | meaning |
|---|---|---|
"""


_CARD_HEAD = """\
# Model card

Of the package that comes with glam-node, as `glam-node model show` prints it of any package. What it reaches on
synthetic images: [demonstration](demonstration-package.md).

| | |
|---|---|
"""


def _model_card() -> str:
    package = read_package(DEFAULT_PACKAGE)
    told: dict[str, object] = {
        "model": f"{package.algorithm_name} {package.algorithm_version} ({package.architecture})",
        "trained": package.trained,
        "weights_sha256": package.weights_sha256,
        **card_table(package.card),
    }
    for kind, point in package.operating_points.items():
        told[f"operating point, {kind}"] = ", ".join(f"{name} {value:g}" for name, value in asdict(point).items())
    return _CARD_HEAD + "".join(f"| {name} | {card_value(value)} |\n" for name, value in told.items())


def on_files(files: Files, config: Any) -> Files:
    """settings.md, metrics.md and model-card.md are among the pages."""
    rows = [f"| `{one.name}` | {', '.join(f'`{label}`' for label in one.labels)} | {one.meaning} |" for one in METRICS]
    files.append(File.generated(config, "settings.md", content=reference()))
    files.append(File.generated(config, "metrics.md", content=_METRICS_HEAD + "\n".join(rows) + "\n"))
    files.append(File.generated(config, "model-card.md", content=_model_card()))
    return files
