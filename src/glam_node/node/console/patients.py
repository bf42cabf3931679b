"""The page that shows a study's patient; each access is audited before it is shown."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.bootstrap import Node
from glam_node.node.console.door import Fields
from glam_node.node.console.rendering import Screens
from glam_node.node.db import studies
from glam_node.node.domain.study import Study
from glam_node.node.storage.identity import Identity, read_identity


@dataclass(frozen=True, slots=True)
class Patients:
    """The page of a study's patient."""

    screens: Screens

    def show(self, request: Request, _: Fields) -> Response:
        """Audit the access, and show the patient's name, IDs and birth date.

        Raises:
            HTTPException: The study is not known (404).
        """
        uid = request.path_params["study_instance_uid"]
        with self.screens.sessions() as session:
            study = studies.get(session, uid)
        if study is None:
            raise HTTPException(404, f"Study {uid[:64]} is not known to this node.")
        identity = _identity(self.screens.node, study)
        self.screens.looks.record(request, [uid], again=True)
        return self.screens.render(request, "_actions_patient", study=study, identity=identity)


def _identity(node: Node, study: Study) -> Identity:
    """Return the identity from the first readable image, or, if no file is left, from the database."""
    for instance in study.instances:
        try:
            return read_identity(node.store.resolve(instance.path))
        except OSError:
            continue
    kept = study.attributes
    return Identity(patient_id=kept.patient_id, accession_number=kept.accession_number, study_date=kept.study_date)
