"""Pictures of views, and answers to requests for missing pages."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from glam_node.inference.phantom import make_exam
from glam_node.node.results.overlay import grey_layer, is_mirrored_to_hang
from tests.integration.console.browser import Browser
from tests.integration.console.lived_in import LivedIn


@pytest.fixture
def browser(address: str) -> Browser:
    return Browser(int(address.rpartition(":")[2]))


def layer(browser: Browser, place: LivedIn, name: str) -> NDArray[np.uint8]:
    """Return the picture that the console answers."""
    with browser.open(f"/studies/{place.reported}/{place.image}/{name}.png") as answer:
        assert answer.headers["Content-Type"] == "image/png"
        return np.asarray(Image.open(io.BytesIO(answer.read())))


def test_segments_are_a_separate_layer_that_fits_the_grey_image(browser: Browser, place: LivedIn) -> None:
    grey, segments = layer(browser, place, "grey"), layer(browser, place, "segments")
    assert grey.shape == segments.shape[:2]
    assert segments.shape[2] == 4
    opaque = segments[..., 3] > 0
    assert 0 < opaque.mean() < 0.2
    assert np.count_nonzero(np.ptp(segments[opaque][:, :3].astype(int), axis=1) > 60) > 20
    stored = stored_masks(place)
    assert abs(opaque.mean() - np.logical_or.reduce(stored).mean()) < 0.02
    assert (grey[opaque].mean()) > grey.mean()


def stored_masks(place: LivedIn) -> list[NDArray[np.bool_]]:
    """Return the masks of the segments in the image's stored segmentation objects."""
    results = place.node.store.root / "results" / place.reported
    segs = [one for one in map(dcmread, results.glob("*.dcm")) if one.Modality == "SEG"]
    of_image = [one for one in segs if one.SourceImageSequence[0].ReferencedSOPInstanceUID == place.image]
    assert of_image
    return [frame > 0 for one in of_image for frame in one.pixel_array.reshape(-1, one.Rows, one.Columns)]


@pytest.mark.parametrize("laterality", ["L", "R"])
@pytest.mark.parametrize("turned", [False, True], ids=["as it hangs", "mirrored"])
def test_chest_walls_meet_in_the_middle(laterality: str, turned: bool) -> None:
    view = next(one.dataset for one in make_exam(1, rows=208, columns=160) if one.dataset.ImageLaterality == laterality)
    image = mirrored(view) if turned else view
    assert is_mirrored_to_hang(image) is turned
    grey = np.asarray(grey_layer(image, maximum_height=208))
    left_half, right_half = grey[:, : grey.shape[1] // 4].mean(), grey[:, -grey.shape[1] // 4 :].mean()
    assert bool(right_half > left_half) is (laterality == "R")


def mirrored(view: Dataset) -> Dataset:
    """Return the view stored mirrored, with a Patient Orientation that states it."""
    pixels = view.pixel_array[:, ::-1].copy()
    view.PixelData = pixels.tobytes()
    view.PatientOrientation = ["P" if view.PatientOrientation[0] == "A" else "A", view.PatientOrientation[1]]
    return view


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/studies/1.2.3", 404, "Study 1.2.3 is not known to this node. Compare the UID"),
        ("/elsewhere", 404, "There is no such page."),
        (
            "/?since=yesterday",
            400,
            "Received from is &#39;yesterday&#39;, which is not a date. Write it as 2026-01-31.",
        ),
        ("/?older=never~1.2", 400, "older is not a position in the list. Start at the first page: /"),
        ("/?uid=9.9.9", 200, "No study matches."),
        ("/?older=2000-01-01T00:00:00%2B00:00~1", 200, "No study matches."),
    ],
)
def test_a_missing_page_or_wrong_value_is_reported_with_the_remedy(
    browser: Browser, path: str, status: int, words: str
) -> None:
    answered, page = browser.ask(path, accept="text/html")
    assert answered == status
    assert words in page


def test_names_and_ids_are_hidden_from_visitors_without_the_right(browser: Browser, place: LivedIn) -> None:
    paths = ("/", f"/studies/{place.reported}", "/queue", "/destinations", "/refusals", "/?accession=P")
    pages = "".join(browser.ask(path)[1] for path in paths)
    for words in ("P1", "PHANTOM", "Accession", "Patient ID"):
        assert words not in pages


def test_a_refresh_gets_the_live_part_only(browser: Browser) -> None:
    whole, part = browser.ask("/queue")[1], browser.ask("/queue", live=True)[1]
    assert "<!doctype html>" in whole
    assert "<!doctype html>" not in part
    assert "Table of workers" in part
