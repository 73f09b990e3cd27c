"""The Lua sandbox of Argo CD, and the ConfigMap that configures its health checks and actions.

Argo CD runs the scripts in gopher-lua (Lua 5.1) with the libraries base, table and package, and of `os` only time and
date (util/lua/lua.go and util/lua/oslib_safe.go of argoproj/argo-cd). The library `string` is not loaded, so strings
have no methods. Here PUC Lua 5.1 runs them with the same libraries.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from lupa import lua51

HEALTH_STATUSES = ("Healthy", "Progressing", "Suspended", "Degraded", "Missing", "Unknown")
"""Values that a health script may return; Argo CD replaces others by Unknown."""
_SANDBOX = """
getmetatable("").__index = nil
local safe = {time = os.time, date = os.date}
for _, name in ipairs({"string", "math", "io", "debug", "coroutine", "dofile", "loadfile", "python"}) do
  _G[name] = nil
end
package.loaded = {}
os = safe
package.preload = {os = function() return safe end}
"""


def run(script: str, resource: Mapping[str, Any]) -> Any:
    """Run a script with a resource as the global `obj`, and return its result as JSON-like data."""
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.execute(_SANDBOX)
    lua.globals().obj = _to_lua(lua, resource)
    return _from_lua(lua.execute(script))


def _to_lua(lua: lua51.LuaRuntime, value: Any) -> Any:
    if isinstance(value, Mapping):
        return lua.table_from({key: _to_lua(lua, item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return lua.table_from([_to_lua(lua, item) for item in value])
    return str(value) if isinstance(value, str) else value


def _from_lua(value: Any) -> Any:
    if lua51.lua_type(value) != "table":
        return value
    items = {key: _from_lua(item) for key, item in value.items()}
    is_list = items and set(items) == set(range(1, len(items) + 1))
    return [items[index] for index in sorted(items)] if is_list else items


def scripts(folder: Path) -> dict[str, Any]:
    """Return the data of `argocd-cm` for all kinds below a folder `resource_customizations`."""
    data: dict[str, Any] = {}
    for kind in sorted(path for path in folder.glob("*/*") if path.is_dir()):
        name = f"{kind.parent.name}_{kind.name}"
        data[f"resource.customizations.health.{name}"] = (kind / "health.lua").read_text("utf-8")
        actions = kind / "actions"
        if actions.is_dir():
            definition = {
                "discovery.lua": (actions / "discovery.lua").read_text("utf-8"),
                "definitions": [
                    {"name": file.parent.name, "action.lua": file.read_text("utf-8")}
                    for file in sorted(actions.glob("*/action.lua"))
                ],
            }
            data[f"resource.customizations.actions.{name}"] = _dumped(definition)
    return data


def _dumped(value: Mapping[str, Any]) -> str:
    return yaml.dump(value, Dumper=_Block, sort_keys=False, width=1000)


class _Block(yaml.SafeDumper):
    """Writes texts of several lines as blocks, which a reader can compare with the scripts."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Block.add_representer(str, _text)


def config_map(folder: Path) -> str:
    """Return the patch of the ConfigMap `argocd-cm` as YAML."""
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": scripts(folder),
    }
    header = (
        "# Generated from resource_customizations by `make gitops`; do not edit.\n"
        "# kubectl patch configmap argocd-cm --namespace argocd --patch-file argocd-cm.yaml\n"
    )
    return header + _dumped(manifest)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "argocd-cm.yaml").write_text(
        config_map(folder / "resource_customizations"), encoding="utf-8"
    )
