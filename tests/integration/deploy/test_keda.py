"""Tests that the chart makes KEDA scale workers by the length of their queue."""

import pytest
from pydantic import ValidationError

from glam_node.node.domain.job import Priority
from glam_node.node.worker.broker import list_name
from tests.integration.deploy.keda import ScaledObject
from tests.integration.deploy.shipped import of_kind, rendered

pytestmark = pytest.mark.peer("helm")

REDIS_OF_THE_SITE = ("redis.enabled=false", "redis.address=redis.site:6379", "redis.existingSecret=redis")


@pytest.mark.parametrize("values", [(), REDIS_OF_THE_SITE])
def test_keda_knows_every_field_of_its_object(values: tuple[str, ...]) -> None:
    (scaled,) = of_kind(rendered(*values), "ScaledObject").values()
    assert ScaledObject.model_validate(scaled).spec.maxReplicaCount > 0


def test_keda_would_not_know_a_misspelled_field_or_a_number_that_is_no_text() -> None:
    (scaled,) = of_kind(rendered(), "ScaledObject").values()
    scaled["spec"]["maxReplicas"] = 3
    scaled["spec"]["triggers"][0]["metadata"]["listLength"] = 5
    with pytest.raises(ValidationError, match=r"(?s)listLength.*maxReplicas"):
        ScaledObject.model_validate(scaled)


def test_workers_are_scaled_by_the_lists_that_workers_take_from() -> None:
    manifests = rendered()
    (scaled,) = of_kind(manifests, "ScaledObject").values()
    assert [trigger["metadata"]["listName"] for trigger in scaled["spec"]["triggers"]] == [*map(list_name, Priority)]
    target = of_kind(manifests, "Deployment")[scaled["spec"]["scaleTargetRef"]["name"]]
    assert "replicas" not in target["spec"]


def test_a_redis_with_a_password_is_asked_with_it_by_workers_and_by_keda() -> None:
    manifests = rendered(*REDIS_OF_THE_SITE, "redis.tls=true")
    assert "lab-redis" not in of_kind(manifests, "Deployment")
    worker = of_kind(manifests, "Deployment")["lab-worker"]["spec"]["template"]["spec"]["containers"][0]
    keys = {entry["name"]: entry.get("valueFrom", {}).get("secretKeyRef") for entry in worker["env"]}
    assert keys["GLAM_NODE__BROKER_URL"] == {"name": "redis", "key": "url"}
    (scaled,) = of_kind(manifests, "ScaledObject").values()
    for trigger in scaled["spec"]["triggers"]:
        stated = trigger["metadata"]
        assert (stated["address"], stated["enableTLS"]) == ("redis.site:6379", "true")
        assert keys[stated["passwordFromEnv"]] == {"name": "redis", "key": "password"}


def test_the_number_of_workers_is_fixed_without_keda() -> None:
    manifests = rendered("keda.enabled=false", "worker.replicas=3")
    assert not of_kind(manifests, "ScaledObject")
    assert of_kind(manifests, "Deployment")["lab-worker"]["spec"]["replicas"] == 3
