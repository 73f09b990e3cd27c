-- Actions of a PurpleFleaAgent. Resuming is not an action, because Argo CD actions cannot delete a PurpleFleaHalt.
local status = obj.status or {}
local is_deleted = obj.metadata.deletionTimestamp ~= nil
local halts = {}
if status.trading ~= nil then
  for _, name in ipairs(status.trading.halts or {}) do
    halts[name] = true
  end
end

local function is_created(suffix)
  return halts[obj.metadata.namespace .. "/" .. obj.metadata.name .. suffix] == true
end

local waits_for_upgrade = false
for _, item in ipairs(status.conditions or {}) do
  if item.type == "Progressing" and item.reason == "OperatorUpgrade" then
    waits_for_upgrade = true
  end
end

local actions = {}
actions["halt"] = {
  ["disabled"] = is_deleted or is_created("-argocd-halt") or is_created("-argocd-stop"),
  ["displayName"] = "Halt trading",
  ["iconClass"] = "fa fa-fw fa-pause-circle",
}
actions["stop"] = {
  ["disabled"] = is_deleted or is_created("-argocd-stop"),
  ["displayName"] = "Stop trading and end the pods",
  ["iconClass"] = "fa fa-fw fa-stop-circle",
}
actions["upgrade"] = {
  ["disabled"] = is_deleted or not waits_for_upgrade,
  ["displayName"] = "Request the upgrade of the agents",
  ["iconClass"] = "fa fa-fw fa-arrow-circle-up",
}
return actions
