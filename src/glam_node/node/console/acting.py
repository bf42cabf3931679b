"""Routes that change something or show a patient; all are POST, except the confirmation pages."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.console.actions import Actions
from glam_node.node.console.door import Door, Fields
from glam_node.node.console.echoes import Echoes
from glam_node.node.console.patients import Patients
from glam_node.node.console.rendering import Screens
from glam_node.node.domain.account import Right

_STUDY = "/studies/{study_instance_uid}"


def routes(screens: Screens, door: Door) -> list[BaseRoute]:
    """Return the routes for actions, for signing out, and for signing in at an OpenID provider if one is configured."""
    node, actions = screens.node, Actions(screens, door)

    def ask(request: Request) -> Response:
        with database_trouble(node.settings):
            return actions.ask(request)

    return [
        Route(f"{_STUDY}/acts/{{verb}}", door.guarded(ask), methods=["GET"]),
        Route(f"{_STUDY}/acts/{{verb}}", door.acting(Right.ACT, actions.carry_out), methods=["POST"]),
        Route("/acts/retry-given-up", door.acting(Right.ACT, actions.retry_all), methods=["POST"]),
        Route(
            f"{_STUDY}/patient",
            door.acting(Right.SEE_PATIENTS, _told(node, Patients(screens).show)),
            methods=["POST"],
        ),
        Route(
            "/destinations/{destination}/echo",
            door.acting(Right.ACT, _told(node, Echoes(screens, door).ask)),
            methods=["POST"],
        ),
        Route(
            "/destinations/{destination}/send",
            door.acting(Right.ACT, _told(node, Echoes(screens, door).send)),
            methods=["POST"],
        ),
        *(
            _provider(door, node)
            if node.settings.console.oidc.issuer
            else [Route("/sign-out", door.sign_out, methods=["POST"])]
        ),
    ]


def _told(node: Node, act: Callable[[Request, Fields], Response]) -> Callable[[Request, Fields], Response]:
    """Wrap `act` so that a database that does not answer raises TransientError, whose message people understand."""

    def answer(request: Request, fields: Fields) -> Response:
        with database_trouble(node.settings):
            return act(request, fields)

    return answer


def _provider(door: Door, node: Node) -> list[BaseRoute]:
    # Imported only where a provider is configured: its libraries take long to load.
    from glam_node.node.console.oidc_door import PATH, OidcDoor

    way = OidcDoor(door, node.settings.console.oidc)
    return [
        Route("/sign-out", way.sign_out, methods=["POST"]),
        Route(PATH, way.begin),
        Route(f"{PATH}/callback", way.callback),
    ]
