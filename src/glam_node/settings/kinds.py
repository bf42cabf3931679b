"""Sections whose key `kind` decides which other keys they have: destinations and sources."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Discriminator, Tag


def by_kind(union: Any) -> dict[str, Any]:
    """Return the classes of a union of sections by the only value that each allows for `kind`."""
    return {get_args(one.model_fields["kind"].annotation)[0]: one for one in get_args(union)}


def kind_tag(kind: str) -> str:
    """Return the word that pydantic adds to the location of a mistake in a section of this kind.

    No name or key is like it.
    """
    return f"[{kind}]"


def one_of_kinds(classes: Mapping[str, Any], otherwise: str) -> Any:
    """Return the type of a section whose `kind` decides its class; without `kind`, it is of the kind `otherwise`."""

    def tag(section: Any) -> str:
        if isinstance(section, BaseModel):
            return kind_tag(str(getattr(section, "kind", otherwise)))
        return kind_tag(str(section.get("kind", otherwise) if isinstance(section, dict) else otherwise))

    tagged = (Annotated[one, Tag(kind_tag(kind))] for kind, one in classes.items())
    return Annotated[reduce(or_, tagged), Discriminator(tag)]
