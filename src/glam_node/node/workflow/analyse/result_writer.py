"""Writing of results to the disk; they depend only on stored findings and source images."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pydicom.dataset import Dataset

from glam_node import result_kinds
from glam_node.inference.findings import AlgorithmIdentification, Findings
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.study import Study
from glam_node.node.results.corrected_patient import name_patient
from glam_node.node.results.encoding import encoded_file
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.not_analysed_report import Notice, write_not_analysed_report
from glam_node.node.results.prior_exams import Priors
from glam_node.node.storage.files import keep_durable, write_durably, write_sparsely
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.analyse.result_maker import MadeResult, ResultMaker, ResultSelection, UnwrittenResult
from glam_node.node.workflow.analyse.source_images import read_sources


@dataclass(frozen=True, slots=True)
class Result:
    """One result object on the disk."""

    kind: str
    """Kind of result (a key of result_kinds.SOP_CLASSES), as in destinations.NAME.results."""
    sop_class_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: str
    """Path relative to the storage root."""


@dataclass(frozen=True, slots=True)
class WrittenResults:
    """Results of one job that look alike."""

    by_selection: Sequence[Sequence[Result]]
    """Objects of each selection, in the order of the selections."""
    unwritten: Sequence[UnwrittenResult]
    """Results that could not be written."""


def write_results(
    findings: Findings,
    instances: Sequence[SOPInstance],
    identity: ResultIdentity,
    store: InstanceStore,
    selections: Sequence[ResultSelection],
    priors: Priors = (),
) -> WrittenResults:
    """Write the objects of the selections durably; an object that is on the disk already stays as it is.

    An object is written after the objects that it refers to, which belong to the same selection.

    Raises:
        PermanentError: No source image can be read any more.
        OSError: The disk failed.
        MemoryError: There was too little memory.
    """
    sources = read_sources(instances, store.resolve)
    name_patient(sources.values(), identity.patient)
    maker = ResultMaker(findings, sources, identity, priors)
    shared: list[Result] = []
    by_selection = []
    # The next object is made while one is written to the disk; there are never more than two in memory.
    with ThreadPoolExecutor(max_workers=1) as disk:
        for selection in selections:
            made = list(_write_all(maker.make(selection), disk, store))
            by_selection.append([one for one in (*shared, *made) if one.kind in selection.kinds | selection.standby])
            shared += [one for one in made if one.kind not in result_kinds.REFERRING]
    return WrittenResults(by_selection, maker.unwritten)


def _write_all(objects: Iterable[MadeResult], disk: ThreadPoolExecutor, store: InstanceStore) -> Iterator[Result]:
    kept: Future[Result] | None = None
    for made in objects:
        if kept is not None:
            yield kept.result()
        kept = disk.submit(_write_one, made.kind, made.dataset, made.parts, store)
    if kept is not None:
        yield kept.result()


def write_notice(
    notice: Notice, study: Study, algorithm: AlgorithmIdentification, identity: ResultIdentity, store: InstanceStore
) -> list[Result]:
    """Write the report that the study was not analysed; none for a study without images.

    Raises:
        PermanentError: No source image can be read any more.
        OSError: The disk failed.
    """
    images = study.one_image_per_series()
    if not images:
        return []
    sources = list(read_sources(images, store.resolve).values())
    name_patient(sources, identity.patient)
    report = write_not_analysed_report(notice, sources, algorithm, identity)
    return [_write_one(result_kinds.NOT_ANALYSED_REPORT, report, encoded_file(report), store)]


def _write_one(kind: str, dataset: Dataset, parts: Iterable[bytes], store: InstanceStore) -> Result:
    uid = str(dataset.SOPInstanceUID)
    relative = f"results/{dataset.StudyInstanceUID}/{uid}.dcm"
    path = store.resolve(relative)
    if path.exists():
        keep_durable(path)
    else:
        store.require()
        write_durably(path, lambda file: write_sparsely(file, parts))
    syntax, series = str(dataset.file_meta.TransferSyntaxUID), str(dataset.SeriesInstanceUID)
    return Result(kind, str(dataset.SOPClassUID), series, uid, syntax, relative)
