"""Labels from BI-RADS assessments, for data sets without pathology."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from glam_node.inference.findings import FindingKind

_CATEGORY = re.compile(r"(?:BI-?RADS)?\s*([1-6])\s*[abc]?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BiRadsRule:
    """The BI-RADS categories that count as benign and as malignant.

    An assessment is an opinion, not pathology: about 30 % of lesions in category 4 and 2 % in category 3 are malignant.
    """

    benign: frozenset[int] = frozenset({2, 3})
    malignant: frozenset[int] = frozenset({4, 5, 6})

    @classmethod
    def from_text(cls, text: str) -> "BiRadsRule":
        """Read a rule such as "2,3/4,5,6" (benign/malignant categories). Raises ValueError for any other text."""
        benign, malignant = (frozenset(map(int, part.split(","))) for part in text.split("/"))
        if not benign | malignant <= frozenset(range(1, 7)):
            raise ValueError("BI-RADS categories are 1 to 6")
        return cls(benign, malignant)

    def kinds(self, categories: Collection[int]) -> frozenset[FindingKind]:
        """Return the kinds of finding that these assessments count as; category 1 counts as none."""
        return frozenset(
            kind
            for kind, counted in ((FindingKind.BENIGN, self.benign), (FindingKind.MALIGNANT, self.malignant))
            if not counted.isdisjoint(categories)
        )


DEFAULT_RULE = BiRadsRule()


def read_category(text: str) -> int | None:
    """Read the category, 1 to 6, from text such as "BI-RADS 4" or "4a"; None for other text and for 0 (incomplete)."""
    found = _CATEGORY.fullmatch(text.strip())
    return int(found[1]) if found else None
