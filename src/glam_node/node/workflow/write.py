"""Makes DICOM objects of findings; on disk they follow from stored findings and source images alone."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pydicom.dataset import Dataset

from glam_node.inference.findings import AlgorithmIdentification, Findings
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.study import Study
from glam_node.node.results import kinds
from glam_node.node.results.encoding import encoded_file
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.not_analysed_report import Notice, write_not_analysed_report
from glam_node.node.storage.files import keep_durable, write_durably, write_sparsely
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.make import made_objects, read_source
from glam_node.node.workflow.predecessors import name_predecessor


@dataclass(frozen=True, slots=True)
class Result:
    """One object on disk."""

    kind: str
    """One of results.kinds.SOP_CLASSES, as in destinations.NAME.results."""
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: str
    """Relative to the storage root."""


def write_results(
    findings: Findings,
    instances: Sequence[SOPInstance],
    identity: ResultIdentity,
    store: InstanceStore,
    wanted: AbstractSet[str],
    earlier: Mapping[str, str],
) -> list[Result]:
    """The objects of the kinds in `wanted`, durably on disk; one that is there already is left as it is.

    What refers to another comes after it. A report names the one in `earlier` (paths by SOP class). Raises
    PermanentError when a source cannot be read any more, OSError.
    """
    paths = {instance.sop_instance_uid: store.resolve(instance.path) for instance in instances}
    files = {sop_class: store.resolve(path) for sop_class, path in earlier.items()}
    results: list[Result] = []
    # While the disk takes one object the next is made; never are there more than two.
    with ThreadPoolExecutor(max_workers=1) as disk:
        kept: Future[Result] | None = None
        for kind, dataset in made_objects(findings, paths, identity, wanted):
            name_predecessor(dataset, files)
            results += [kept.result()] if kept else []
            kept = disk.submit(_keep, kind, dataset, store)
        results += [kept.result()] if kept else []
    return results


def write_notice(
    notice: Notice, study: Study, algorithm: AlgorithmIdentification, identity: ResultIdentity, store: InstanceStore
) -> list[Result]:
    """The report that says so, durably on disk; none for a study that has no image. Raises as `write_results` does."""
    sources = [read_source(store.resolve(one.path), one.sop_instance_uid) for one in study.one_image_per_series()]
    if not sources:
        return []
    return [_keep(kinds.NOT_ANALYSED_REPORT, write_not_analysed_report(notice, sources, algorithm, identity), store)]


def _keep(kind: str, dataset: Dataset, store: InstanceStore) -> Result:
    uid = str(dataset.SOPInstanceUID)
    relative = f"results/{dataset.StudyInstanceUID}/{uid}.dcm"
    path = store.resolve(relative)
    if path.exists():
        keep_durable(path)
    else:
        write_durably(path, lambda file: write_sparsely(file, encoded_file(dataset)))
    return Result(kind, str(dataset.SOPClassUID), uid, str(dataset.file_meta.TransferSyntaxUID), relative)
