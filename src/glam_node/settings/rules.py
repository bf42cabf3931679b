"""Settings of [rules.NAME]."""

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from glam_node.result_kinds import ANALYSIS_KINDS, RESULT_MESSAGE
from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import Name, Seconds, SourceName

if TYPE_CHECKING:
    AnalysisKind = str
else:
    AnalysisKind = Literal[(*ANALYSIS_KINDS, RESULT_MESSAGE)]

_WHEN = "an expression: `glam-node rules explain` lists fields, operators and examples"


def _expression(value: str) -> str:
    # Imported here because the grammar imports pydicom and numpy, which a site without rules does not need here.
    from glam_node.rules.grammar import ExpressionError, parse

    try:
        parse(value)
    except ExpressionError as error:
        raise contradiction("", f"{error} (`glam-node rules explain` lists fields and operators)") from None
    return value


Age = Annotated[
    str, Field(pattern="^[1-9][0-9]{0,2}[DWMY]$", json_schema_extra={"allowed": "an age such as 5Y or 18M"})
]
MOST_PRIORS = 4
"""The largest number of prior exams of a study."""
LONGEST_WAIT_FOR_PRIORS_S = 3600
"""The longest time in seconds that an analysis waits for prior exams."""

When = Annotated[str, AfterValidator(_expression), Field(json_schema_extra={"allowed": _WHEN})]


class RuleSettings(Section):
    """[rules.NAME]: one rule; of the rules that hold for an eligible study, the first one in the file decides."""

    when: When
    """Condition on the attributes of the images."""
    then: Literal["analyse", "ignore", "shadow", "dry_run", "hold"] = "analyse"
    """analyse: analyse the study and send its results; ignore: leave out the study, or with level = "image" the image;
    shadow: analyse the study but send nothing; dry_run: only record what would be done; hold: analyse the study and
    hold it with its results until it is released."""
    level: Literal["study", "image"] = "study"
    """study: the rule decides about studies; image: every image that meets the condition is left out, before the rules
    for studies apply."""
    holds_for: Literal["any", "all"] = "any"
    """Images of a study that must meet the condition: any (at least one of the images to be analysed) or all of
    them."""
    destinations: tuple[Name, ...] | None = None
    """Names of the destinations that the results are sent to; unset: all."""
    priority: Literal["urgent", "screening", "backfill"] | None = None
    """Priority of the study; unset: that of its order, or of the peer that sent it. A rule about results sets that of
    the results: of their delivery, and of the study in the HL7 message."""
    results: tuple[AnalysisKind, ...] | None = None
    """Kinds of result to send, of those that a destination asks for; unset: all of them."""
    hold_time: Seconds | None = None
    """Seconds after which a study that the rule holds is released; unset: it is held until a person releases it."""
    notify: bool = False
    """Whether to send a message about each study for which the rule decides, by webhook and mail as [alerts] says."""
    priors: Annotated[int, Field(ge=0, le=MOST_PRIORS)] = 0
    """Number of prior exams of the patient, the most recent ones, that are fetched before the analysis; 0: none."""
    priors_from: SourceName = ""
    """Name of the [sources.NAME] that prior exams are fetched from."""
    priors_maximum_age: Age = "6Y"
    """Age of the oldest prior exam, counted from the Study Date: a number of days (D), weeks (W), months (M) or
    years (Y)."""
    priors_wait: Annotated[float, Field(ge=1, le=LONGEST_WAIT_FOR_PRIORS_S, allow_inf_nan=False)] = 300.0
    """Seconds that the analysis waits for prior exams and their analysis; then it starts without those that are
    missing."""
    analyse_priors: bool = True
    """true: prior exams without an analysis on record are analysed; false: only findings on record are used."""
    send_priors: bool = False
    """true: prior exams are then routed like any study and their results sent; false: their results stay here."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.level == "image" and self.then != "ignore":
            raise contradiction("then", f'"{self.then}" is for studies: with level = "image" it must be "ignore"')
        if self.level == "image" and self.holds_for != "any":
            raise contradiction("holds_for", "is for studies: an image rule decides about each image alone")
        for key in ("destinations", "priority"):
            if self.then == "ignore" and getattr(self, key) is not None:
                raise contradiction(key, 'is for studies that are analysed: then = "ignore"')
        if self.decides_about_results:
            self._check_decision_about_results()
        self._check_priors()
        if self.hold_time is not None and self.then != "hold":
            raise contradiction("hold_time", 'is for then = "hold"')
        if self.destinations == ():
            raise contradiction("destinations", 'is empty: to analyse without sending results, set then = "shadow"')
        return self

    @property
    def decides_about_results(self) -> bool:
        """Whether the rule is evaluated after the analysis, since it asks about results or does something with them."""
        from glam_node.rules.fields import asks_about_results
        from glam_node.rules.grammar import parse

        return self.then == "hold" or self.results is not None or self.notify or asks_about_results(parse(self.when))

    def _check_priors(self) -> None:
        if not self.priors:
            if self.priors_from:
                raise contradiction("priors_from", "has no effect without priors = 1 or more")
            return
        if self.level == "image" or self.then not in ("analyse", "shadow") or self.decides_about_results:
            raise contradiction(
                "priors",
                'is for rules before the analysis with then = "analyse" or "shadow": use another rule for the results',
            )
        if not self.priors_from:
            raise contradiction("priors_from", "is needed with priors: the NAME of a [sources.NAME]")

    def _check_decision_about_results(self) -> None:
        after = "the rule is evaluated after the analysis (it asks about results, chooses kinds, holds or notifies)"
        if self.level == "image" or self.then in ("ignore", "dry_run"):
            raise contradiction("then", f'{after}: it must be "analyse", "shadow" or "hold", with level = "study"')
        if self.results == ():
            raise contradiction("results", 'is empty: to send no result, set then = "shadow"')


def require_sources(rules: Mapping[str, RuleSettings], sources: Container[str]) -> None:
    """Raise a contradiction for a rule that fetches prior exams from a source that the settings do not have."""
    for name, rule in rules.items():
        if rule.priors_from and rule.priors_from not in sources:
            raise contradiction(f"rules.{name}.priors_from", f"there is no sources.{rule.priors_from}")
