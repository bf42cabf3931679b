"""The table of scores, which `analyse` and `demo` print."""

from rich.console import Console
from rich.table import Table

from glam_node.inference.findings import Findings
from glam_node.node.workflow.operate.study_description import algorithm_label, scores


def print_scores(findings: Findings, screen: Console) -> None:
    """Print the name of the algorithm and one row of scores per image."""
    screen.print(f"  {algorithm_label(findings)}")
    table = Table("view", "malignant", "benign", "findings", "remark")
    for row in scores(findings):
        shown = ["-" if row[key] is None else f"{row[key]:.3f}" for key in ("malignant_score", "benign_score")]
        table.add_row(row["view"], *shown, str(row["findings"]), row["failure"] or "; ".join(row["remarks"]))
    screen.print(table)
