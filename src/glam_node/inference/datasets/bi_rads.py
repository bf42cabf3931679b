"""Labels for data sets that have no pathology: which BI-RADS assessment counts as which kind of finding."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from glam_node.inference.findings import FindingKind

_CATEGORY = re.compile(r"(?:BI-?RADS)?\s*([1-6])\s*[abc]?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BiRadsRule:
    """An assessment is an opinion, not pathology: some 30 % of category 4 is malignant, and 2 % of category 3."""

    benign: frozenset[int] = frozenset({2, 3})
    malignant: frozenset[int] = frozenset({4, 5, 6})

    @classmethod
    def from_text(cls, text: str) -> "BiRadsRule":
        """The rule written as "2,3/4,5,6": benign and malignant categories. Raises ValueError for anything else."""
        benign, malignant = (frozenset(map(int, part.split(","))) for part in text.split("/"))
        if not benign | malignant <= frozenset(range(1, 7)):
            raise ValueError("BI-RADS categories are 1 to 6")
        return cls(benign, malignant)

    def kinds(self, categories: Collection[int]) -> frozenset[FindingKind]:
        """The kinds that these assessments stand for; category 1 stands for none."""
        return frozenset(
            kind
            for kind, counted in ((FindingKind.BENIGN, self.benign), (FindingKind.MALIGNANT, self.malignant))
            if not counted.isdisjoint(categories)
        )


DEFAULT_RULE = BiRadsRule()


def read_category(text: str) -> int | None:
    """1 to 6 out of "BI-RADS 4", "4a" or "5"; None for anything else (0, incomplete, is no label)."""
    found = _CATEGORY.fullmatch(text.strip())
    return int(found[1]) if found else None
