"""Settings of [canary]."""

from typing import Self

from pydantic import Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import Name, Seconds, Text, Timeout


class CanarySettings(Section):
    """[canary]: a synthetic woman whose study the node sends to itself and follows to its results, as a test."""

    every: Seconds = 0.0
    """Seconds between two canaries, 3600 for one an hour; 0: only `glam-node canary` sends one."""
    destinations: tuple[Name, ...] = ()
    """Names of the destinations that get the results of the canary; empty: none, and the results stay in the node. No
    other destination gets them, whatever the rules say."""
    limit: Timeout = 1800.0
    """Seconds from the C-STORE of the last image to the last stored result; after them the canary has failed."""
    tolerance: float = Field(default=0.05, gt=0, le=1)
    """Largest difference, of scores from 0 to 1, from the first canary with the same model package."""
    issuer_of_patient_id: Text = Field(default="GLAM-NODE CANARY", min_length=1, max_length=64)
    """Issuer of Patient ID (0010,0021) of the synthetic woman, by which archives and people tell her from patients."""

    withdraw: bool = True
    """Whether to withdraw the results from the destinations afterwards: the node removes the files from a folder, asks
    a DICOMweb server to delete the study, and sends a rejection note (IHE IOCM) to a server that does not, and to DICOM
    archives; some only store it. HL7 messages stay."""

    @model_validator(mode="after")
    def _leaves_time(self) -> Self:
        if 0 < self.every < 60:
            raise contradiction("every", f"{self.every:g} is less than a minute; 3600 is one an hour, 0 is off")
        return self
