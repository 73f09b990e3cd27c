"""Creates a PurpleFleaHalt so that the result is known: created, refused, or unknown.

The name is chosen here, so a create that got no answer can be repeated: if the halt exists with the same spec, the
first request has created it.
"""

from dataclasses import dataclass
from typing import Any

from kubectl_purpleflea.decisions.failures import Failure, KubectlError, explained
from kubectl_purpleflea.decisions.halts import HaltRequest, differs
from kubectl_purpleflea.decisions.objects import id_of
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import HALTS

ATTEMPTS = 3


class RefusedError(Exception):
    """The API server refused the halt, so nothing was halted. The text is the reason and the remedy."""


class UnknownError(Exception):
    """No answer shows whether the halt exists. The text is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A halt that exists."""

    halt: dict[str, Any]
    dropped: tuple[str, ...] = ()
    """Fields that the API server did not store."""

    @property
    def id(self) -> str:
        """Namespace and name."""
        return id_of(self.halt)


def place(kubectl: Kubectl, request: HaltRequest) -> Placed:
    """Create the halt.

    Raises:
        RefusedError: Nothing was halted.
        UnknownError: The halt may exist.
        SelectorError: The label selector cannot be read.
    """
    import json

    manifest = request.manifest()
    # The API server prunes fields that it does not have, so the stored object is compared instead of validated: a
    # validation by kubectl downloads the OpenAPI document of the whole cluster first.
    arguments = ("create", "--filename=-", "--validate=false")
    error = KubectlError(Failure.NO_ANSWER, "")
    is_ambiguous = False
    for _ in range(ATTEMPTS):
        try:
            return _placed(kubectl.json(*arguments, stdin=json.dumps(manifest)), manifest)
        except KubectlError as found:
            error = found
        existing = _existing(kubectl, request, error)
        if existing is not None:
            if differs(existing, manifest) and error.kind is Failure.ALREADY_EXISTS:
                raise RefusedError(
                    f"a PurpleFleaHalt {request.name} with another spec exists; choose another --name"
                )
            return _placed(existing, manifest)
        is_ambiguous = is_ambiguous or error.is_ambiguous
        if not is_ambiguous:
            raise RefusedError(_refusal(error))
        if error.kind is not Failure.NO_ANSWER:
            # An earlier request without an answer may still be performed. kubectl that hangs would hang again.
            break
    raise UnknownError(f"{explained(error)}; then run the command again with --name={request.name}")


def _existing(kubectl: Kubectl, request: HaltRequest, error: KubectlError) -> dict[str, Any] | None:
    """Return the halt if it exists after a failed create.

    Raises:
        UnknownError: The halt cannot be read.
    """
    if not error.is_ambiguous and error.kind is not Failure.ALREADY_EXISTS:
        return None
    try:
        return kubectl.find(HALTS, request.name)
    except KubectlError as again:
        if again.is_ambiguous:
            return None
        raise UnknownError(f"{error}; and the halt cannot be read: {explained(again)}") from again


def _placed(halt: dict[str, Any], manifest: dict[str, Any]) -> Placed:
    return Placed(halt=halt, dropped=tuple(differs(halt, manifest)))


def _refusal(error: KubectlError) -> str:
    remedies = {
        Failure.NOT_INSTALLED: "the CRD of PurpleFleaHalt is not installed; install the chart of the operator",
        Failure.FORBIDDEN: "bind the role: kubectl create rolebinding NAME --clusterrole=purpleflea-halter --user=USER",
    }
    remedy = remedies.get(error.kind)
    return f"{str(error).removeprefix('error: ')}; {remedy}" if remedy else explained(error)
