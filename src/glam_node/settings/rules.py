"""[rules.NAME]: which studies and images are analysed, and where the results go, by what the images say."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from glam_node.rules.grammar import ExpressionError, parse
from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import Name

_WHEN = "an expression: `glam-node rules explain` has fields, operators and examples"


def _expression(value: str) -> str:
    try:
        parse(value)
    except ExpressionError as error:
        raise contradiction("", f"{error}. `glam-node rules explain` has fields and operators") from None
    return value


When = Annotated[str, AfterValidator(_expression), Field(json_schema_extra={"allowed": _WHEN})]


class RuleSettings(Section):
    """[rules.NAME]: one rule; the first in the file that holds for a study decides, after [eligibility] let it pass."""

    when: When
    """What the images must say for the rule to hold."""
    then: Literal["analyse", "ignore", "shadow", "dry_run"] = "analyse"
    """analyse; ignore: the study is left out, or with level = "image" the image; shadow: analyse, send nothing;
    dry_run: write down what would be done, do nothing."""
    level: Literal["study", "image"] = "study"
    """image: each image for which it holds is left out, before the rules for studies are asked."""
    holds_for: Literal["any", "all"] = "any"
    """study: it holds when the expression is true of at least one of the images to be analysed, or of all of them."""
    destinations: tuple[Name, ...] | None = None
    """Those that the results go to; unset: all."""
    priority: Literal["urgent", "screening", "backfill"] | None = None
    """In place of that of the peer that sent the study."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.level == "image" and self.then != "ignore":
            raise contradiction("then", f'"{self.then}" is for studies: level = "image" leaves images out, so "ignore"')
        if self.level == "image" and self.holds_for != "any":
            raise contradiction("holds_for", "is for studies: the expression is asked of each image")
        for key in ("destinations", "priority"):
            if self.then == "ignore" and getattr(self, key) is not None:
                raise contradiction(key, 'is for studies that are analysed: then = "ignore"')
        if self.destinations == ():
            raise contradiction("destinations", 'names none: for an analysis that goes nowhere, then = "shadow"')
        return self
