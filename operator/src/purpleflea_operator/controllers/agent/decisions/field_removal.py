"""Decision whether an apply may remove fields of a child. Pure.

Before fields are removed that the operator set with a POST, their ownership is converted, which costs two requests.
Most changes only set other values. A wrong yes costs these requests once, and a wrong no would leave a field in the
child. Therefore every field counts as removed that is neither desired nor a default of the API server.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from purpleflea_operator.controllers.agent.decisions.drift import is_subset, list_key
from purpleflea_operator.parsing import Manifest

_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "apiVersion": ("v1",),
    "defaultMode": (420,),
    "dnsPolicy": ("ClusterFirst",),
    "failureThreshold": (3,),
    "kind": ("PersistentVolumeClaim",),
    "maxUnavailable": (1,),
    "partition": (0,),
    "periodSeconds": (10,),
    "persistentVolumeClaimRetentionPolicy": ({"whenDeleted": "Retain", "whenScaled": "Retain"},),
    "protocol": ("TCP",),
    "restartPolicy": ("Always",),
    "rollingUpdate": ({"partition": 0}, {}),
    "schedulerName": ("default-scheduler",),
    "scheme": ("HTTP",),
    "status": ({"phase": "Pending"},),
    "successThreshold": (1,),
    "terminationMessagePath": ("/dev/termination-log",),
    "terminationMessagePolicy": ("File",),
    "timeoutSeconds": (1,),
    "volumeMode": ("Filesystem",),
}
"""Defaults of the API server, by field. A field that stays with its default has no effect."""
_EMPTY: tuple[Any, ...] = (None, "", {}, [])
_METADATA = ("labels", "annotations", "ownerReferences")


def may_remove_fields(desired: Manifest, live: Manifest) -> bool:
    """Return whether the live child has fields besides the desired ones and the defaults of the API server."""
    metadata = {key: live["metadata"].get(key) for key in _METADATA}
    content = {key: live[key] for key in ("spec", "data") if key in live}
    return _lacks(desired, {"metadata": metadata, **content})


def _lacks(desired: Any, live: Any) -> bool:
    """Return whether `desired` lacks a field of `live`."""
    if isinstance(live, Mapping) and isinstance(desired, Mapping):
        return any(_lacks_field(desired, key, value) for key, value in live.items())
    if isinstance(live, Sequence) and not isinstance(live, str):
        return _lacks_item(desired, live)
    return False


def _lacks_field(desired: Mapping[str, Any], key: str, live: Any) -> bool:
    if key in desired:
        return _lacks(desired[key], live)
    if live in _EMPTY or live in _DEFAULTS.get(key, ()):
        return False
    # The deprecated copy of serviceAccountName.
    return not (key == "serviceAccount" and live == desired.get("serviceAccountName"))


def _lacks_item(desired: Any, live: Sequence[Any]) -> bool:
    key = list_key(live)
    if key is None or list_key(desired) != key:
        # The API server may identify the items by other fields, so every other value counts as a removed item.
        is_same = is_subset(desired, live) and len(desired) == len(live)
        return not is_same or any(map(_lacks, desired, live))
    wanted = {item[key]: item for item in desired}
    return any(item[key] not in wanted or _lacks(wanted[item[key]], item) for item in live)
