"""Reads the answer of the operator's renderer. Pure."""

import json

from kubectl_purpleflea.decisions.objects import items, mapping, text
from purpleflea_contract.rendering import ChildReference, Rendering


class InvalidRenderingError(Exception):
    """A text is not a rendering."""


def rendering(body: str | bytes) -> Rendering:
    """Return an answer. Fields of another type count as empty, so an operator of another version can answer.

    Raises:
        InvalidRenderingError: It is not a rendering.
    """
    try:
        found = mapping(json.loads(body))
    except (ValueError, RecursionError):
        found = {}
    if "children" not in found:
        raise InvalidRenderingError
    notes = found.get("notes")
    return Rendering(
        operator=text(found.get("operator")),
        children=[dict(item) for item in items(found["children"])],
        written=_references(found.get("written")),
        deleted=_references(found.get("deleted")),
        recreates=found.get("recreates") is True,
        invalid=text(found.get("invalid")),
        notes=[text(item) for item in notes] if isinstance(notes, list) else [],
    )


def _references(value: object) -> list[ChildReference]:
    return [
        ChildReference(
            apiVersion=text(item.get("apiVersion")),
            kind=text(item.get("kind")),
            name=text(item.get("name")),
        )
        for item in items(value)
    ]
