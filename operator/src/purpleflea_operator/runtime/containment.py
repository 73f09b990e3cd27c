"""Containment of objects that cannot be read: such an object is left out and logged, and everything else goes on.

It decides nothing about the object. The exception ends here because a watch handler or a first list that raises would
stop the work for all other objects.
"""

import contextlib
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest, table, text

logger = logging.getLogger(__name__)

REPORTED = 1000
"""Objects whose warning is remembered, so that each event of a broken object does not log again."""


class Containment:
    """The objects that could not be read, each logged once."""

    def __init__(self) -> None:
        self._reported: OrderedDict[tuple[str, str], None] = OrderedDict()

    @contextlib.contextmanager
    def of(self, kind: ResourceKind, manifest: Manifest) -> Iterator[None]:
        """Contain the failure of the block, which takes in `manifest`."""
        try:
            yield
        except Exception as error:
            self._report(kind, manifest, error)

    def _report(self, kind: ResourceKind, manifest: Manifest, error: Exception) -> None:
        metadata = table(table(manifest).get("metadata"))
        address = f"{text(metadata.get('namespace'))}/{text(metadata.get('name'))}"
        if (kind.kind, address) in self._reported:
            return
        self._reported[kind.kind, address] = None
        if len(self._reported) > REPORTED:
            self._reported.popitem(last=False)
        logger.warning(
            "an object cannot be read and is left out: correct or delete it",
            extra={
                "kind": kind.kind,
                "object": address,
                "error": f"{type(error).__name__}: {error}"[:200],
            },
        )


def check_identity(manifest: Manifest) -> None:
    """Check the fields by which every index knows an object, before the first index takes it in.

    Raises:
        ValueError: A field is of another type.
    """
    metadata = manifest["metadata"]
    for key in ("uid", "name"):
        if not text(metadata.get(key)):
            raise ValueError(f"metadata.{key} is not a text")
    if not isinstance(metadata.get("namespace", ""), str):
        raise ValueError("metadata.namespace is not a text")
    for value in table(metadata.get("labels")).values():
        if not isinstance(value, str):
            raise ValueError("a label is not a text")


def uids(found: list[Mapping[str, object]] | list[Manifest]) -> list[str]:
    """The uids of the objects of a list, without objects that have none."""
    known = (table(table(item).get("metadata")).get("uid") for item in found)
    return [uid for uid in known if isinstance(uid, str)]
