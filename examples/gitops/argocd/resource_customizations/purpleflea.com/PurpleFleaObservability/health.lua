-- Health of a PurpleFleaObservability in Argo CD. In mode Plan it is Healthy, because the spec requests no writes.
local status = obj.status or {}
local conditions = {}
for _, item in ipairs(status.conditions or {}) do
  conditions[item.type] = item
end
local ready, keys, degraded = conditions.Ready, conditions.KeysValid, conditions.Degraded

if status.observedGeneration == nil or status.observedGeneration < (obj.metadata.generation or 0) or ready == nil then
  return {status = "Progressing", message = "waiting for the operator to observe the spec"}
end
if keys ~= nil and keys.status == "False" then
  return {status = "Degraded", message = keys.message}
end
if degraded ~= nil and degraded.status == "True" then
  return {status = "Degraded", message = degraded.message}
end
if ready.status == "True" then
  return {status = "Healthy", message = ready.message}
end
return {status = "Progressing", message = ready.message}
