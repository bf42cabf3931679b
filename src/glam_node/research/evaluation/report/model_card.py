"""A model card of an evaluated package as Markdown, in the sections of Mitchell et al., "Model Cards", FAT* 2019."""

import json
from collections.abc import Iterator, Sequence

from glam_node.inference.package import ModelPackage
from glam_node.research.evaluation.evaluate_models import Evaluation
from glam_node.research.evaluation.report.definitions import DEFINITIONS, RESEARCH_USE, UNTRAINED
from glam_node.research.evaluation.report.html_report import Heading
from glam_node.research.evaluation.report.tables import (
    TextTable,
    comparison_table,
    kinds_of,
    measures_table,
    operating_point_table,
    subgroup_table,
)

NOT_STATED = "Not stated in the package."


def render_model_card(package: ModelPackage, evaluation: Evaluation, heading: Heading) -> str:
    """Return the card of `package`, the first model of `evaluation`, with the front matter that model hubs read."""
    sections = (
        ("Model details", _details(package, heading)),
        ("Intended use", [package.card.intended_use or NOT_STATED]),
        ("Factors", _factors(package, evaluation)),
        ("Metrics", [f"- **{name}**: {text}" for name, text in DEFINITIONS]),
        ("Evaluation data", _evaluation_data(evaluation)),
        ("Training data", [package.card.training_data or NOT_STATED]),
        ("Quantitative analyses", _analyses(evaluation)),
        ("Ethical considerations", [RESEARCH_USE]),
        ("Caveats and recommendations", [package.card.limitations or NOT_STATED, _failures(evaluation)]),
    )
    warning = () if heading.trained else (f"> {UNTRAINED}\n",)
    body = [f"## {title}\n\n" + "\n".join(lines) + "\n" for title, lines in sections]
    title = f"# Model card: {package.algorithm_name} {package.algorithm_version}\n"
    return "\n".join((_front_matter(package), title, f"> {RESEARCH_USE}\n", *warning, *body))


def _front_matter(package: ModelPackage) -> str:
    """Return the front matter as YAML, which contains JSON."""
    facts = {
        "license": package.card.licence or "unknown",
        "library_name": "glam-node",
        "tags": ["mammography", "DICOM", "weakly-supervised segmentation", package.architecture],
    }
    return (
        "---\n"
        + "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in facts.items())
        + "---\n"
    )


def _details(package: ModelPackage, heading: Heading) -> list[str]:
    card = package.card
    stated = (
        ("Origin", card.origin),
        ("Licence", card.licence),
        ("Architecture", package.architecture),
        ("Accepted kinds of image", ", ".join(sorted(card.accepted_kinds))),
        *(fact for fact in heading.facts if fact[0] in ("Package", "Made")),
    )
    return [f"- **{name}**: {value or NOT_STATED}" for name, value in stated]


def _factors(package: ModelPackage, evaluation: Evaluation) -> list[str]:
    card = package.card
    spacing = " to ".join(f"{limit:g}" for limit in card.pixel_spacing_mm)
    groups = [each.name for each in evaluation.models[0].classes[0].subgroups]
    return [
        f"- **Manufacturers of the training images**: {', '.join(card.vendors) or NOT_STATED}",
        f"- **Imager Pixel Spacing of the training images, mm**: {spacing or NOT_STATED}",
        f"- **Groups that are measured apart**: {', '.join(groups) or 'none'}",
        "- **Not measured apart**: age, ethnicity, machine, technique of the image.",
    ]


def _evaluation_data(evaluation: Evaluation) -> list[str]:
    return [
        f"{evaluation.dataset}: {evaluation.view_count} views of {evaluation.study_count} studies "
        f"({evaluation.patient_count} patients, or studies if the data set does not identify patients). "
        f"{evaluation.rule} Intervals are 95 %, from {evaluation.resamples} resamples of patients, "
        f"seed {evaluation.seed}."
    ]


def _analyses(evaluation: Evaluation) -> list[str]:
    tables: list[TextTable] = []
    for place, kind in enumerate(kinds_of(evaluation)):
        groups = subgroup_table(evaluation, place)
        tables += [measures_table(evaluation, place), TextTable(f"{kind}, subgroups", groups.columns, groups.rows)]
    tables += [comparison_table(evaluation.comparisons), operating_point_table(evaluation)]
    return [line for table in tables if table.rows for line in markdown_table(table)]


def markdown_table(table: TextTable) -> Iterator[str]:
    """Yield the lines of a table with its title as heading."""
    yield from (f"### {table.title}", "", _row(table.columns), _row(["---"] * len(table.columns)))
    yield from (_row(row) for row in table.rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _failures(evaluation: Evaluation) -> str:
    failed = len(evaluation.models[0].failures)
    return (
        f"\n{failed} of {evaluation.view_count} views could not be measured and are in no number. report.html of the "
        "same evaluation shows the best, the worst and the false-positive images, and names each view that failed."
    )
