-- Health of a PurpleFleaHalt in Argo CD. It is Healthy when the halt has its effect, and Degraded when it halts less than
-- it requests.
local status = obj.status or {}
local conditions = {}
for _, item in ipairs(status.conditions or {}) do
  conditions[item.type] = item
end
local accepted, halted, draining = conditions.Accepted, conditions.Halted, conditions.Draining

if status.observedGeneration == nil or status.observedGeneration < (obj.metadata.generation or 0)
  or accepted == nil or halted == nil or draining == nil then
  return {status = "Progressing", message = "waiting for the operator to observe the halt"}
end
if accepted.status == "False" then
  return {status = "Degraded", message = accepted.message}
end
if halted.status == "Unknown" then
  return {status = "Progressing", message = halted.message}
end
if halted.status == "False" then
  if halted.reason == "Expired" then
    return {status = "Healthy", message = halted.message}
  end
  return {status = "Degraded", message = halted.message}
end
if draining.status == "True" then
  return {status = "Progressing", message = draining.message}
end
return {status = "Healthy", message = halted.message}
