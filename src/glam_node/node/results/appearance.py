"""The appearance of findings in all pictures."""

from glam_node.inference.findings import FindingKind

RGB = {FindingKind.BENIGN: (64, 200, 96), FindingKind.MALIGNANT: (240, 72, 56)}
"""Display colour of each class: red, green and blue, 8 bits each."""
