"""The schema that KEDA 2.17 documents (ScaledObject specification, Redis Lists scaler)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
InQuotes = Annotated[str, Field(pattern=r"^\d+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RedisLists(_Strict):
    """Settings of the Redis Lists scaler; all of them are strings."""

    address: Annotated[str, Field(pattern=r"^[^:]+:\d+$")]
    listName: Annotated[str, Field(min_length=1)]
    listLength: InQuotes
    activationListLength: InQuotes = "0"
    databaseIndex: InQuotes = "0"
    usernameFromEnv: str = ""
    passwordFromEnv: str = ""
    enableTLS: Literal["true", "false"] = "false"
    unsafeSsl: Literal["true", "false"] = "false"


class Trigger(_Strict):
    """A trigger; one of them is enough to scale."""

    type: Literal["redis"]
    metadata: RedisLists
    name: str = ""


class Target(_Strict):
    """The workload to scale: a Deployment by default."""

    name: str
    kind: str = "Deployment"
    apiVersion: str = "apps/v1"
    envSourceContainerName: str = ""


class Spec(_Strict):
    """The specification, without the parts that the chart does not use: fallback and advanced."""

    scaleTargetRef: Target
    triggers: Annotated[list[Trigger], Field(min_length=1)]
    pollingInterval: Count = 30
    cooldownPeriod: Count = 300
    initialCooldownPeriod: Count = 0
    minReplicaCount: Count = 0
    maxReplicaCount: Count = 100


class ScaledObject(_Strict):
    """The whole manifest."""

    apiVersion: Literal["keda.sh/v1alpha1"]
    kind: Literal["ScaledObject"]
    metadata: dict[str, object]
    spec: Spec
