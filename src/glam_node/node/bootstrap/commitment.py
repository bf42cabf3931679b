"""The rules of storage commitment, from settings."""

from datetime import timedelta

from glam_node.node.workflow.deliver.commit_results import CommitmentPolicy
from glam_node.settings.schema import Settings


def commitment_policy(settings: Settings) -> CommitmentPolicy:
    """Return the archives to ask for storage commitment, the time limit of a reply and the number of requests."""
    return CommitmentPolicy(
        {name: archive.ae_title for name, archive in settings.archives.items() if archive.storage_commitment},
        timedelta(seconds=settings.delivery.commitment_timeout),
        settings.delivery.commitment_requests,
    )
