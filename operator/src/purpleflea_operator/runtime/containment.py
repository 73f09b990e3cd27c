"""Containment of objects that cannot be parsed: such an object is skipped and logged, and all other work continues.

Exceptions end here, because a watch handler or an initial list that raises would stop the work on all other objects.
The module must not change or interpret the object.
"""

import contextlib
import logging
from collections import OrderedDict
from collections.abc import Iterator

from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest, mapping, text

logger = logging.getLogger(__name__)

MAX_REPORTED = 1000
"""Number of objects whose warning is remembered, so that not every event of a malformed object is logged."""


class Containment:
    """Contains failures per object, and logs each object once."""

    def __init__(self) -> None:
        self._reported: OrderedDict[tuple[str, str], None] = OrderedDict()

    @contextlib.contextmanager
    def of(self, kind: ResourceKind, manifest: Manifest) -> Iterator[None]:
        """Catch and log any error of the block, which processes `manifest`."""
        try:
            yield
        except Exception as error:
            self._report(kind, manifest, error)

    def _report(self, kind: ResourceKind, manifest: Manifest, error: Exception) -> None:
        metadata = mapping(mapping(manifest).get("metadata"))
        address = f"{text(metadata.get('namespace'))}/{text(metadata.get('name'))}"
        if (kind.kind, address) in self._reported:
            return
        self._reported[kind.kind, address] = None
        if len(self._reported) > MAX_REPORTED:
            self._reported.popitem(last=False)
        logger.warning(
            "an object is malformed and is ignored; correct or delete it",
            extra={
                "kind": kind.kind,
                "object": address,
                "error": f"{type(error).__name__}: {error}"[:200],
            },
        )


def check_identity(manifest: Manifest) -> None:
    """Check the fields that identify an object, before any index stores it.

    Raises:
        ValueError: A field has a wrong type.
    """
    metadata = manifest["metadata"]
    for key in ("uid", "name"):
        if not text(metadata.get(key)):
            raise ValueError(f"metadata.{key} is not a string")
    if not isinstance(metadata.get("namespace", ""), str):
        raise ValueError("metadata.namespace is not a string")
    for value in mapping(metadata.get("labels")).values():
        if not isinstance(value, str):
            raise ValueError("a label is not a string")
