"""Discovery documents of the fake API server, as pure functions of the registered kinds."""

from collections.abc import Iterable

from support.apiserver.kinds import Kind, Obj

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_PARAMETERS = ("dryRun", "fieldValidation")
_SCALE = {"group": "autoscaling", "version": "v1", "kind": "Scale"}


def document(path: str, kinds: Iterable[Kind]) -> Obj | None:
    """Return the document at a path, or None if there is none."""
    served = tuple(kinds)
    match path.strip("/").split("/"):
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["api", version]:
            return _resources("", version, served)
        case ["apis"]:
            groups = sorted({kind.group for kind in served if kind.group})
            listed = [_group(name, served) for name in groups]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        case ["apis", group]:
            known = any(kind.group == group for kind in served)
            head = {"kind": "APIGroup", "apiVersion": "v1"}
            return {**head, **_group(group, served)} if known else None
        case ["apis", group, version]:
            return _resources(group, version, served)
        case ["openapi", "v3"]:
            paths = {("apis/" if "/" in item else "api/") + item for item in _versions(served)}
            return {"paths": {item: {"serverRelativeURL": f"/openapi/v3/{item}"} for item in paths}}
        case ["openapi", "v3", "api" | "apis", *version]:
            return _open_api("/".join(version), served)
        case ["version"]:
            return {"major": "1", "minor": "37", "gitVersion": "v1.37.1", "platform": "fake"}
    return None


def _versions(kinds: tuple[Kind, ...]) -> set[str]:
    return {kind.api_version for kind in kinds}


def _open_api(api_version: str, kinds: tuple[Kind, ...]) -> Obj | None:
    """Return the part by which kubectl finds that the server validates the fields of an object."""
    here = [kind for kind in kinds if kind.api_version == api_version]
    gvk = "x-kubernetes-group-version-kind"
    paths = {
        f"/{kind.plural}/{{name}}": {
            "patch": {
                "parameters": [{"name": name, "in": "query"} for name in _PARAMETERS],
                gvk: {"group": kind.group, "version": kind.version, "kind": kind.kind},
            }
        }
        for kind in here
    }
    info = {"title": "fake", "version": "1"}
    return {"openapi": "3.0.0", "info": info, "paths": paths} if here else None


def _group(name: str, kinds: tuple[Kind, ...]) -> Obj:
    versions = sorted({kind.version for kind in kinds if kind.group == name})
    entries = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[-1]}


def _resources(group: str, version: str, kinds: tuple[Kind, ...]) -> Obj | None:
    here = [kind for kind in kinds if (kind.group, kind.version) == (group, version)]
    if not here:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": here[0].api_version,
        "resources": [entry for kind in here for entry in _entries(kind)],
    }


def _entries(kind: Kind) -> list[Obj]:
    main = {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(_VERBS),
        "shortNames": list(kind.short_names),
    }
    inner = [
        {
            "name": f"{kind.plural}/{subresource}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": ["get", "patch", "update"],
            **(_SCALE if subresource == "scale" else {}),
        }
        for subresource in kind.subresources
    ]
    return [main, *inner]
