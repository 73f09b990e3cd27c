-- Actions of a PurpleFleaHalt. The spec is immutable, so there is none that changes it.
local is_draining = false
for _, item in ipairs((obj.status or {}).conditions or {}) do
  if item.type == "Draining" and item.status == "True" then
    is_draining = true
  end
end
local actions = {}
actions["force-resume"] = {
  ["disabled"] = not is_draining,
  ["displayName"] = "Allow the deletion while agents drain",
  ["iconClass"] = "fa fa-fw fa-unlock",
}
return actions
