"""The keys that all destinations have, and those of destinations that the node calls over the network."""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import model_validator

from glam_node.result_kinds import NOT_ANALYSED_REPORT, RESULT_MESSAGE, SOP_CLASSES
from glam_node.settings.connection import ConnectionSettings
from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import Banner, CodeScheme, ScoreScale, SeriesDescription, SeriesNumber, Timeout

if TYPE_CHECKING:
    ObjectKind = str
    ResultKind = str
else:
    ObjectKind = Literal[tuple(SOP_CLASSES)]
    ResultKind = Literal[(*SOP_CLASSES, RESULT_MESSAGE)]


class FallbackSettings(Section):
    """[destinations.NAME.fallbacks]: results to send instead, if the destination does not accept a SOP class."""

    segmentation: ObjectKind | None = None
    """Result to send instead of a segmentation."""
    measurement_report: ObjectKind | None = None
    """Result to send instead of the measurement report; comprehensive_sr is the same report in an older SOP class."""
    mammography_cad_sr: ObjectKind | None = None
    """Result to send instead of the Mammography CAD SR."""
    presentation_state: ObjectKind | None = None
    """Result to send instead of a presentation state."""

    @property
    def by_kind(self) -> dict[str, str]:
        """The fallback of each kind of result that has one."""
        chosen: dict[str, str] = self.model_dump(exclude_none=True)
        return chosen


class PresentationSettings(Section):
    """[destinations.NAME.presentation]: values that replace those of [results] in objects for this destination."""

    banner: Banner | None = None
    """Value that replaces results.banner."""
    series_description: SeriesDescription | None = None
    """Value that replaces results.series_description."""
    series_number: SeriesNumber | None = None
    """Value that replaces results.series_number."""
    score_scale: ScoreScale | None = None
    """Value that replaces results.score_scale."""
    code_scheme: CodeScheme | None = None
    """Value that replaces results.code_scheme."""

    @property
    def chosen(self) -> dict[str, object]:
        """The values that are set."""
        values: dict[str, object] = self.model_dump(exclude_none=True)
        return values


class DestinationBase(Section):
    """The keys of every kind of destination."""

    # The kinds of result that destinations of this kind can get
    _takes: ClassVar[tuple[str, ...]] = tuple(SOP_CLASSES)

    mode: Literal["live", "shadow", "dry_run"] = "live"
    """live: results are sent; shadow: results are made and kept, but not sent; dry_run: the node only records which
    results it would make."""
    kind: str
    """The kind of destination."""
    results: tuple[ResultKind, ...] = ("segmentation", "measurement_report")
    """Kinds of result to send; a kind that no destination lists is not made. A destination of kind hl7 gets
    result_message and not_analysed_report; others get all kinds but result_message."""
    fallbacks: FallbackSettings = FallbackSettings()
    presentation: PresentationSettings = PresentationSettings()

    @property
    @abstractmethod
    def title(self) -> str:
        """Words for pages that come before the address, such as "DICOMweb at"."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The address for pages; it contains no secret."""

    @model_validator(mode="after")
    def _gets_what_it_can_take(self) -> Self:
        for kind in self.results:
            if kind not in self._takes:
                wanted = 'is for kind = "hl7"' if kind == RESULT_MESSAGE else f"is not one of {', '.join(self._takes)}"
                raise contradiction("results", f'"{kind}" {wanted}, and this destination has kind = "{self.kind}"')
        return self

    @model_validator(mode="after")
    def _has_usable_fallbacks(self) -> Self:
        for kind, instead in self.fallbacks.by_kind.items():
            if kind not in self.results:
                raise contradiction(f"fallbacks.{kind}", "replaces nothing: that kind is not in results")
            if instead in (kind, NOT_ANALYSED_REPORT):
                raise contradiction(f"fallbacks.{kind}", f'"{instead}" cannot replace it')
            if SOP_CLASSES[instead] == SOP_CLASSES[kind]:
                raise contradiction(
                    f"fallbacks.{kind}", f'"{instead}" is of the same SOP class: an archive refuses both or neither'
                )
        return self


class ServerSettings(ConnectionSettings, DestinationBase):
    """The keys of destinations that the node calls over the network."""

    timeout: Timeout = 30.0
    """Seconds to wait for the archive to connect, to answer or to accept more of an object. The wait for its answer to
    a complete object is ten times as long."""
