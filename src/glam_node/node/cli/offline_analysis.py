"""The analysis of `glam-node analyse`: from DICOM files to result files, without a network or a database."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from glam_node import result_kinds
from glam_node.inference.errors import DeviceUnavailable, PackageMismatch
from glam_node.inference.findings import Findings
from glam_node.inference.predictor import Predictor
from glam_node.inference.study import segment_study
from glam_node.kinds.facts import KindPolicy
from glam_node.node.demo.exam import all_files
from glam_node.node.demo.pictures import draw_pictures
from glam_node.node.domain.eligibility import Eligibility, EligibilityPolicy, judge
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.study import Study
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.workflow.analyse.result_maker import ResultMaker, ResultSelection
from glam_node.node.workflow.analyse.run_job import source_images
from glam_node.node.workflow.analyse.source_images import read_sources
from glam_node.node.workflow.assemble.read_files import Refusal, read_files
from glam_node.node.workflow.record.failure import is_machine_failure, reason_for_archive

_PREFIXES = {kind.name: kind.prefix for kind in result_kinds.RESULT_KINDS if kind.prefix}


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """Settings of the analysis."""

    eligibility: EligibilityPolicy
    identity: ResultIdentity
    load_predictor: Callable[[], Predictor]
    """Function that loads the model. It is called only if a study is eligible."""
    wanted: AbstractSet[str] = result_kinds.DEFAULT_KINDS
    """Kinds of results to write. They include DEFAULT_KINDS."""


@dataclass(frozen=True, slots=True)
class StudyResults:
    """The results of one study."""

    findings: Findings
    objects: tuple[Path, ...]
    """Result objects: segmentations, the report, then the other kinds."""
    pictures: tuple[Path, ...]
    not_written: tuple[Refusal, ...]
    """Results of an image or of the study that could not be written."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Results of the analysis of some files."""

    written: list[StudyResults]
    refused: list[Refusal]
    """Files, images and studies that could not be analysed."""
    left_out: list[Refusal]
    """Images of analysed studies that were left out of the analysis, for example special views."""


def analyse(paths: Iterable[Path], out: Path, options: AnalysisOptions, now: datetime) -> Analysis:
    """Analyse every eligible study in `paths` and write its results to `out`/<Study Instance UID>.

    Raises:
        PackageMismatch: The model package does not fit the predictor.
        DeviceUnavailable: The configured device does not exist.
        OSError: The results cannot be written, for example because the disk is full.
    """
    given = read_files(all_files(paths), now)
    analysis = Analysis([], list(given.refused), [])
    predictor: Predictor | None = None
    for study in given.studies:
        eligibility = judge(study, options.eligibility)
        if not eligibility.eligible:
            analysis.refused.append(Refusal(_named(study), f"{eligibility.rule}: {eligibility.reason}"))
            continue
        predictor = predictor or options.load_predictor()
        try:
            findings = _segment(study, eligibility.instances, predictor, options.eligibility.kinds)
            written = _write(findings, eligibility.instances, options, out / study.study_instance_uid)
        except Exception as error:  # A failed study must not stop the others.
            if is_machine_failure(error) or isinstance(error, PackageMismatch | DeviceUnavailable):
                raise
            analysis.refused.append(Refusal(_named(study), reason_for_archive(error)))
            continue
        analysis.written.append(written)
        analysis.refused.extend(_failures(findings, eligibility.instances))
        analysis.left_out.extend(_left_out(study, eligibility))
    return analysis


def _named(study: Study) -> str:
    """Return the UID of the study with its first file, so that a person can find the study."""
    first, *others = sorted(instance.path for instance in study.instances)
    files = f"{first} and {len(others)} more" if others else first
    return f"study {study.study_instance_uid} ({files})"


def _left_out(study: Study, eligibility: Eligibility) -> Iterator[Refusal]:
    """Yield the images that were left out of the analysis of a study, with the reason."""
    for instance in study.instances:
        left_out = eligibility.left_out.get(instance.sop_instance_uid)
        if left_out is not None:
            yield Refusal(instance.path, f"left out: {left_out.rule}: {left_out.reason}")


def _failures(findings: Findings, instances: Sequence[SOPInstance]) -> Iterator[Refusal]:
    paths = {instance.sop_instance_uid: instance.path for instance in instances}
    return (Refusal(paths[image.sop_instance_uid], image.failure) for image in findings.images if image.failure)


def _segment(study: Study, instances: Sequence[SOPInstance], predictor: Predictor, kinds: KindPolicy) -> Findings:
    return segment_study(study.study_instance_uid, source_images(instances, Path), predictor, kinds)


def _write(
    findings: Findings, instances: Sequence[SOPInstance], options: AnalysisOptions, folder: Path
) -> StudyResults:
    """Remove the results of an earlier run from `folder`; write the result objects and one picture per view."""
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in ("[LR]-*.png", *(f"{prefix}-*.dcm" for prefix in _PREFIXES.values())):
        for stale in folder.glob(pattern):
            stale.unlink()
    paths = {instance.sop_instance_uid: Path(instance.path) for instance in instances}
    objects: list[Path] = []
    counts: Counter[str] = Counter()
    identity = options.identity.of_versions((instance.sop_instance_uid, instance.version) for instance in instances)
    maker = ResultMaker(findings, read_sources(instances, Path), identity)
    for made in maker.make(ResultSelection(options.wanted)):
        counts[made.kind] += 1
        objects.append(folder / f"{_PREFIXES[made.kind]}-{counts[made.kind]}.dcm")
        objects[-1].write_bytes(b"".join(made.parts))
    segmentations: list[Dataset] = [pydicom.dcmread(path) for path in objects[: counts[result_kinds.SEGMENTATION]]]
    pictures = draw_pictures(findings, paths, segmentations, folder, options.identity)
    not_written = [Refusal(paths.get(one.sop_instance_uid, folder).__str__(), str(one)) for one in maker.unwritten]
    return StudyResults(findings, tuple(objects), tuple(pictures), tuple(not_written))
