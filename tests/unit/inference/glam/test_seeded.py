"""Tests of weights made from a seed."""

import numpy as np

from glam_node.inference.glam.seeded import arrays_sha256, seeded_arrays
from glam_node.inference.glam.weights import seeded_state_dict

NAME = "detection_network.dn_resnet.layer1.0.conv2.weight"


def test_the_public_seed_has_the_published_digest() -> None:
    _, digest = seeded_state_dict(128)
    assert digest == "6339af039334d7304cdd952b672a158cf87150e9056f57d0a6e406619fd2702b"


def test_a_tensor_does_not_depend_on_the_others() -> None:
    alone = seeded_arrays({NAME: (4, 4, 3, 3)}, 5)
    among = seeded_arrays({"global_network.x.bias": (2,), NAME: (4, 4, 3, 3)}, 5)
    assert np.array_equal(alone[NAME], among[NAME])


def test_another_seed_gives_other_weights() -> None:
    assert arrays_sha256(seeded_arrays({NAME: (2, 2, 1, 1)}, 1)) != arrays_sha256(
        seeded_arrays({NAME: (2, 2, 1, 1)}, 2)
    )


def test_the_digest_does_not_depend_on_the_order_of_the_tensors() -> None:
    arrays = seeded_arrays({"b.bias": (3,), "a.bias": (3,)}, 1)
    assert arrays_sha256(arrays) == arrays_sha256(dict(reversed(arrays.items())))
