"""Makes DICOM objects of findings; on disk they follow from stored findings and source images alone."""

from collections.abc import Iterable, Iterator, Sequence
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
from glam_node.node.workflow.make import Made, ResultMaker, Unwritten, Wish
from glam_node.node.workflow.source_images import read_sources


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


@dataclass(frozen=True, slots=True)
class WrittenResults:
    """The results of one run that look alike."""

    of_wishes: Sequence[Sequence[Result]]
    """For each wish its objects."""
    unwritten: Sequence[Unwritten]
    """Kinds that could not be written, of an image or of the study."""


def write_results(
    findings: Findings,
    instances: Sequence[SOPInstance],
    identity: ResultIdentity,
    store: InstanceStore,
    wishes: Sequence[Wish],
) -> WrittenResults:
    """Write the objects of the wishes durably; one that is on disk already is left as it is.

    An object that names another comes after it, and names only what the same wish has.

    Raises:
        PermanentError: No source image can be read any more.
        OSError: The disk failed.
        MemoryError: There was too little memory.
    """
    maker = ResultMaker(findings, read_sources(instances, store.resolve), identity)
    shared: list[Result] = []
    of_wishes = []
    # While the disk takes one object the next is made; never are there more than two.
    with ThreadPoolExecutor(max_workers=1) as disk:
        for wish in wishes:
            made = list(_kept(maker.make(wish), disk, store))
            of_wishes.append([one for one in (*shared, *made) if one.kind in wish.wanted | wish.standby])
            shared += [one for one in made if one.kind not in kinds.REFERRING]
    return WrittenResults(of_wishes, maker.unwritten)


def _kept(objects: Iterable[Made], disk: ThreadPoolExecutor, store: InstanceStore) -> Iterator[Result]:
    kept: Future[Result] | None = None
    for made in objects:
        if kept is not None:
            yield kept.result()
        kept = disk.submit(_keep, made.kind, made.dataset, made.parts, store)
    if kept is not None:
        yield kept.result()


def write_notice(
    notice: Notice, study: Study, algorithm: AlgorithmIdentification, identity: ResultIdentity, store: InstanceStore
) -> list[Result]:
    """The report that says so, durably on disk; none for a study that has no image. Raises as `write_results` does."""
    images = study.one_image_per_series()
    if not images:
        return []
    sources = list(read_sources(images, store.resolve).values())
    report = write_not_analysed_report(notice, sources, algorithm, identity)
    return [_keep(kinds.NOT_ANALYSED_REPORT, report, encoded_file(report), store)]


def _keep(kind: str, dataset: Dataset, parts: Iterable[bytes], store: InstanceStore) -> Result:
    uid = str(dataset.SOPInstanceUID)
    relative = f"results/{dataset.StudyInstanceUID}/{uid}.dcm"
    path = store.resolve(relative)
    if path.exists():
        keep_durable(path)
    else:
        write_durably(path, lambda file: write_sparsely(file, parts))
    return Result(kind, str(dataset.SOPClassUID), uid, str(dataset.file_meta.TransferSyntaxUID), relative)
