"""Networks with given weights, prepared as in production."""

from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.routes import Route, take_route
from glam_node.inference.glam.weights import StateDict, network_from


def folded(state: StateDict) -> Glam:
    """Return the folded network with a copy of `state`, without any route."""
    return fold_for_inference(network_from({name: tensor.clone() for name, tensor in state.items()}))


def along(route: Route, state: StateDict, threads: int = 1) -> Glam:
    """Return the same network with a route."""
    return take_route(folded(state), route, threads)
