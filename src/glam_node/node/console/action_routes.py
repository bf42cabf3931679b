"""Routes that change something or show a patient; all use POST, except the confirmation pages."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.console import study
from glam_node.node.console.actions import StudyActions
from glam_node.node.console.authentication import Fields, FormHandler
from glam_node.node.console.destinations import DestinationActions
from glam_node.node.console.rendering import Renderer
from glam_node.node.console.sign_in import SignIn
from glam_node.node.domain.account import Right

_STUDY = "/studies/{study_instance_uid}"
_DESTINATION = "/destinations/{destination}"


def routes(renderer: Renderer, sign_in: SignIn) -> list[BaseRoute]:
    """Return the routes for actions, for signing out, and for signing in at an OpenID provider if one is configured."""
    node, authentication = renderer.node, sign_in.authentication
    on_studies, on_destinations = StudyActions(renderer, authentication), DestinationActions(renderer, authentication)

    def confirm(request: Request) -> Response:
        with database_trouble(node.settings):
            return on_studies.confirm(request)

    def action(path: str, right: Right, handler: FormHandler) -> BaseRoute:
        return Route(path, authentication.guarded_action(right, _readable(node, handler)), methods=["POST"])

    return [
        Route(f"{_STUDY}/acts/{{verb}}", authentication.guarded(confirm), methods=["GET"]),
        action(f"{_STUDY}/acts/{{verb}}", Right.ACT, on_studies.carry_out),
        action("/acts/retry-given-up", Right.ACT, on_studies.retry_all),
        action(f"{_STUDY}/patient", Right.SEE_PATIENTS, partial(study.patient, renderer)),
        action(f"{_DESTINATION}/echo", Right.ACT, on_destinations.send_echo),
        action(f"{_DESTINATION}/send", Right.ACT, on_destinations.send_now),
        *(
            _provider_routes(sign_in, node)
            if node.settings.console.oidc.issuer
            else [Route("/sign-out", authentication.sign_out, methods=["POST"])]
        ),
    ]


def _readable(node: Node, handler: FormHandler) -> FormHandler:
    """Wrap `handler` so that it raises TransientError, with a message for people, if the database does not answer."""

    def answer(request: Request, fields: Fields) -> Response:
        with database_trouble(node.settings):
            return handler(request, fields)

    return answer


def _provider_routes(sign_in: SignIn, node: Node) -> list[BaseRoute]:
    # Imported only if a provider is configured, because the libraries for it load slowly.
    from glam_node.node.console.oidc_sign_in import PATH, OidcSignIn

    provider = OidcSignIn(sign_in, node.settings.console.oidc)
    return [
        Route("/sign-out", provider.sign_out, methods=["POST"]),
        Route(PATH, provider.begin),
        Route(f"{PATH}/callback", provider.callback),
    ]
