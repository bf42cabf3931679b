"""A real archive for queries and retrieval that misbehaves in the ways that a test sets."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from pydicom import Dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from glam_node.node.scu.find import FIND_MODELS
from glam_node.node.scu.retrieve import GET_MODELS, MOVE_MODELS
from tests.integration.archive import default_contexts

_ID = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
_COUNTS = {"STUDY": "NumberOfStudyRelatedInstances", "SERIES": "NumberOfSeriesRelatedInstances"}


@dataclass
class QueryArchive:
    """An archive of these images; each field below `images` is a way to misbehave."""

    images: list[Dataset]
    models: Sequence[str] = (*FIND_MODELS, *MOVE_MODELS, *GET_MODELS)
    ignores_keys: bool = False
    answers_twice: bool = False
    delay_s: float = 0.0
    counts: bool = True
    lists_images: bool = True
    aborts_after: int | None = None
    """Number of answers after which it ends the association."""
    find_status: int = 0
    sent: Callable[[list[Dataset], int], list[Dataset]] = lambda wanted, _: wanted
    """Function from the images of a request, and its number from 1, to those that it sends."""
    counted: Callable[[int], int] = lambda count: count
    """Function from the number of images to the number of sub-operations that it announces."""
    destinations: dict[str, tuple[str, int]] = field(default_factory=dict)
    requests: list[tuple[str, Dataset]] = field(default_factory=list)
    """The name and the identifier of each request."""
    was_cancelled: bool = False

    def asked(self, name: str) -> list[Dataset]:
        """Return the identifiers of all requests of one name."""
        return [identifier for one, identifier in self.requests if one == name]

    def _find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        self.requests.append(("C-FIND", asked))
        level = str(asked.QueryRetrieveLevel)
        if level == "IMAGE" and not self.lists_images:
            yield 0xA900, None
            return
        found = [answer for answer in self._answers(asked, level) for _ in range(2 if self.answers_twice else 1)]
        for number, answer in enumerate(found):
            if self.aborts_after == number:
                event.assoc.abort()
                return
            time.sleep(self.delay_s)
            if event.is_cancelled:
                self.was_cancelled = True
                yield 0xFE00, None
                return
            yield 0xFF00, answer
        if self.find_status:
            yield self.find_status, None

    def _answers(self, asked: Dataset, level: str) -> list[Dataset]:
        matching = self.images if self.ignores_keys else [one for one in self.images if _matches(one, asked)]
        groups: dict[str, list[Dataset]] = {}
        for image in matching:
            groups.setdefault(str(image[_ID[level]].value), []).append(image)
        return [self._answer(asked, level, images) for images in groups.values()]

    def _answer(self, asked: Dataset, level: str, images: list[Dataset]) -> Dataset:
        answer = Dataset()
        answer.SpecificCharacterSet = images[0].get("SpecificCharacterSet", "ISO_IR 100")
        answer.QueryRetrieveLevel = level
        for element in asked:
            if element.keyword in images[0] and element.keyword != "SpecificCharacterSet":
                answer[element.tag] = images[0][element.tag]
        if "ModalitiesInStudy" in asked:
            answer.ModalitiesInStudy = sorted({str(one.Modality) for one in images})
        if level in _COUNTS and self.counts:
            setattr(answer, _COUNTS[level], len(images))
        return answer

    def _wanted(self, event: Event, name: str) -> list[Dataset]:
        self.requests.append((name, event.identifier))
        wanted = [one for one in self.images if _matches(one, event.identifier)]
        return self.sent(wanted, len(self.asked(name)))

    def _get(self, event: Event) -> Iterator[Any]:
        sent = self._wanted(event, "C-GET")
        yield self.counted(len(sent))
        yield from self._each(event, sent)

    def _move(self, event: Event) -> Iterator[Any]:
        sent = self._wanted(event, "C-MOVE")
        title = str(event.move_destination).strip()
        if title not in self.destinations:
            yield None, None
            return
        yield *self.destinations[title], {"contexts": default_contexts()}
        yield self.counted(len(sent))
        yield from self._each(event, sent)

    def _each(self, event: Event, sent: list[Dataset]) -> Iterator[tuple[int, Dataset | None]]:
        for one in sent:
            time.sleep(self.delay_s)
            if event.is_cancelled:
                self.was_cancelled = True
                yield 0xFE00, None
                return
            yield 0xFF00, one

    @contextmanager
    def listening(self) -> Iterator[int]:
        """Run the archive, and yield its port."""
        ae = AE("ARCHIVE")
        ae.supported_contexts = [*default_contexts(), *(build_context(model) for model in self.models)][-128:]
        for context in ae.supported_contexts:
            context.scu_role = context.scp_role = True
        handlers: list[Any] = [(evt.EVT_C_FIND, self._find), (evt.EVT_C_GET, self._get), (evt.EVT_C_MOVE, self._move)]
        server = cast(ThreadedAssociationServer, ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers))
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()


def _matches(image: Dataset, asked: Dataset) -> bool:
    """Return whether an image matches the keys that have a single value, a list of UIDs or a range of dates."""
    for element in asked:
        value = str(element.value or "") if element.VM <= 1 else ""
        stated = str(image.get(element.keyword, ""))
        if element.keyword in ("SpecificCharacterSet", "QueryRetrieveLevel", "ModalitiesInStudy"):
            continue
        if element.VM > 1 and stated not in element.value:
            return False
        first, dash, last = value.partition("-")
        if element.VR == "DA" and dash:
            if not first <= stated <= (last or "99999999"):
                return False
        elif value and value != stated:
            return False
    return True
