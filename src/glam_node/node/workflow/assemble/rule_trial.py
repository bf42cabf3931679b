"""Trial of the routing rules on files: the decisions and their reasons, without any effect."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

from glam_node.node.domain.eligibility import EligibilityPolicy, judge, standard_view
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.routing import Action, Decision, Headers, SiteRule, decide, decide_on_results, image_values
from glam_node.node.domain.study import Study
from glam_node.node.workflow.assemble.read_files import read_files
from glam_node.node.workflow.assemble.rule_headers import asked_fields
from glam_node.rules.expression import Value, Values, comparisons, holds
from glam_node.rules.fields import RESULT_FIELDS, is_shown

HIDDEN = "not shown"


@dataclass(frozen=True, slots=True)
class RuleTrial:
    """Rules and destinations of a trial."""

    eligibility: EligibilityPolicy
    site: tuple[SiteRule, ...]
    modes: Mapping[str, str]
    """Mode of each destination by its name: live, shadow or dry_run."""
    assumed: Mapping[str, float] = field(default_factory=dict)
    """Values of fields of results (rules.fields.RESULT_FIELDS) that the trial assumes for every study."""


@dataclass(frozen=True, slots=True)
class TriedImage:
    """Decision on one image, with the answer of each rule."""

    file: str
    view: str
    outcome: str
    """"analysed", or "left out"."""
    rule: str
    """Name of the rule that leaves the image out; empty if none does."""
    said: tuple[str, ...]
    """One line per rule of the site: whether the rule holds for the image, and the values it compared."""


@dataclass(frozen=True, slots=True)
class TriedStudy:
    """Decision on one study."""

    study_instance_uid: str
    outcome: str
    """"analyse", "ignore", "shadow" or "dry_run"."""
    rule: str
    reason: str
    destinations: tuple[str, ...]
    """Destinations of the results, with the mode of those that are not live: "archive", "trial (shadow)"."""
    priority: str
    """Priority that a rule sets; empty for that of the sender."""
    after_analysis: str
    """Decision of the rules about results, or what it depends on; empty if there are none or nothing is analysed."""
    images: tuple[TriedImage, ...]
    held: bool = False
    """Whether the results wait until the study is released."""


@dataclass(frozen=True, slots=True)
class Tried:
    """Decisions on a set of files."""

    studies: tuple[TriedStudy, ...]
    refused: tuple[tuple[str, str], ...]
    """Names of the files to which the rules cannot be applied, with the reason."""


def try_rules(paths: Iterable[Path], trial: RuleTrial, calling_ae_title: str, now: datetime) -> Tried:
    """Return what the node would do if `calling_ae_title` sent these files; nothing is stored."""
    given = read_files(paths, now, asked_fields(trial.site), calling_ae_title)
    refused = tuple((Path(one.what).name, one.reason.replace(one.what, Path(one.what).name)) for one in given.refused)
    facts = {name: (value,) for name, value in trial.assumed.items()}
    headers = {uid: {**values, **facts} for uid, values in given.headers.items()}
    return Tried(tuple(_study(study, trial, headers) for study in given.studies), refused)


def _study(study: Study, trial: RuleTrial, headers: Headers) -> TriedStudy:
    before = decide(study, trial.eligibility, trial.site, headers)
    decision, after = _after_analysis(before, trial, headers)
    return TriedStudy(
        study_instance_uid=study.study_instance_uid,
        outcome=str(before.action),
        rule=decision.eligibility.rule,
        reason=decision.eligibility.reason,
        destinations=tuple(_destinations(decision, trial)),
        priority=decision.priority.name.lower() if decision.priority is not None else "",
        images=tuple(_images(study, decision, trial, headers)),
        after_analysis=after,
        held=decision.action is Action.HOLD,
    )


def _after_analysis(decision: Decision, trial: RuleTrial, headers: Headers) -> tuple[Decision, str]:
    """Return the decision with the routing of the rules about results, and what they decide, in words."""
    rules = [rule for rule in trial.site if rule.of_results]
    if not rules or not decision.eligibility.eligible:
        return decision, ""
    unknown = [rule.title for rule in rules if _unknown_fields(rule, trial)]
    if unknown:
        return decision, f"{', '.join(unknown)}: depends on the results, which a trial can assume (--assume)"
    found = decide_on_results(decision.eligibility.instances, rules, headers)
    if found is None:
        return decision, "no rule about results holds"
    action = found.rule.action if found.rule.action is Action.HOLD else decision.action
    routed = replace(decision, routing=found.routing(decision.routing), action=action)
    return routed, f"{found.rule.action} by {found.rule.title}: {found.reason}"


def _unknown_fields(rule: SiteRule, trial: RuleTrial) -> bool:
    asked = {comparison.field for comparison in comparisons(rule.when)}
    return bool(asked.intersection(RESULT_FIELDS).difference(trial.assumed))


def _destinations(decision: Decision, trial: RuleTrial) -> Iterator[str]:
    if not decision.eligibility.eligible:
        return
    names = decision.routing.destinations
    for name, mode in trial.modes.items():
        if names is None or name in names:
            shown = "shadow" if decision.routing.shadow and mode == "live" else mode
            yield name if shown == "live" else f"{name} ({shown})"


def _images(study: Study, decision: Decision, trial: RuleTrial, headers: Headers) -> Iterator[TriedImage]:
    built_in = judge(study, trial.eligibility)
    analysed = {image.sop_instance_uid for image in decision.eligibility.instances}
    for instance in study.instances:
        by = decision.eligibility.left_out.get(instance.sop_instance_uid)
        values = image_values(instance, built_in, headers)
        yield TriedImage(
            file=Path(instance.path).name,
            view=" ".join(standard_view(instance)).strip() or instance.attributes.modality,
            outcome="analysed" if instance.sop_instance_uid in analysed else "left out",
            rule=by.rule if by is not None else _rule_for_study(instance, analysed, decision),
            said=tuple(_rule_line(rule, values, trial) for rule in trial.site),
        )


def _rule_for_study(instance: SOPInstance, analysed: set[str], decision: Decision) -> str:
    """Return the name of the rule that leaves out the whole study; empty for an image that is analysed."""
    if instance.sop_instance_uid in analysed:
        return ""
    return decision.eligibility.rule


def _rule_line(rule: SiteRule, values: Values, trial: RuleTrial) -> str:
    """Return a line like `rules.fast holds: KVP is 28`."""
    if _unknown_fields(rule, trial):
        return f"{rule.title} is evaluated after the analysis"
    asked = dict.fromkeys(comparison.field for comparison in comparisons(rule.when))
    facts = ", ".join(f"{name} is {_shown_values(name, values(name))}" for name in asked)
    return f"{rule.title} {'holds' if holds(rule.when, values) else 'does not hold'}: {facts}"


def _shown_values(name: str, found: Sequence[Value]) -> str:
    if not found:
        return "missing"
    return " and ".join(_text(value) for value in found[:5]) if is_shown(name) else HIDDEN


def _text(value: Value) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"
