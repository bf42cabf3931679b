"""How findings look wherever they are shown."""

from glam_node.inference.findings import FindingKind

RGB = {FindingKind.BENIGN: (64, 200, 96), FindingKind.MALIGNANT: (240, 72, 56)}
"""Display colour of a class, 8 bits each of red, green and blue."""
