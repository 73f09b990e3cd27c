"""Parts of the spec that go into a child as they are written, in the words of Kubernetes."""

from collections.abc import Iterable

from pydantic import BaseModel

from purpleflea_operator.parsing import MutableManifest


def passed_on(part: BaseModel, *, only: set[str] | None = None) -> MutableManifest:
    """`part` as plain maps and lists, without what was left out; `only` names fields of the model."""
    return part.model_dump(mode="json", include=only, by_alias=True, exclude_none=True)


def all_passed_on(parts: Iterable[BaseModel]) -> list[MutableManifest]:
    """Each of `parts`."""
    return [passed_on(item) for item in parts]
