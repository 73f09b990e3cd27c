-- Health of a PurpleFleaAgent in Argo CD. Only conditions count, so new reasons of the operator need no change here.
local status = obj.status or {}
local conditions = {}
for _, item in ipairs(status.conditions or {}) do
  conditions[item.type] = item
end

local function has(type, value)
  return conditions[type] ~= nil and conditions[type].status == value
end

local function report(health, type)
  return {status = health, message = conditions[type].message}
end

-- The operator has not read this version of the spec yet, so the conditions are those of an earlier one.
if status.observedGeneration == nil or status.observedGeneration < (obj.metadata.generation or 0) then
  return {status = "Progressing", message = "waiting for the operator to observe the spec"}
end

-- A user must act.
if has("SpecValid", "False") then
  return report("Degraded", "SpecValid")
end
if has("Progressing", "False") then
  return report("Degraded", "Progressing")
end
if has("DuplicateIdentity", "True") and conditions.DuplicateIdentity.reason ~= "Allowed" then
  return report("Degraded", "DuplicateIdentity")
end
if has("WorkloadAvailable", "Unknown") then
  return report("Degraded", "WorkloadAvailable")
end
if has("PositionsConsistent", "False") then
  return report("Degraded", "PositionsConsistent")
end
local storage = conditions.StorageReady
if storage ~= nil and storage.status ~= "True" and storage.reason ~= "Ephemeral" and storage.reason ~= "Expanding" then
  return report("Degraded", "StorageReady")
end
if conditions.TradingActive ~= nil and conditions.TradingActive.reason == "StoppedIncomplete" then
  return report("Degraded", "TradingActive")
end

-- The operator is working on it. If that takes too long, the condition Progressing becomes False.
if not has("Ready", "True") then
  if conditions.Ready == nil then
    return {status = "Progressing", message = "waiting for the operator"}
  end
  return report("Progressing", "Ready")
end
if has("TradingActive", "Unknown") then
  return report("Progressing", "TradingActive")
end

-- Halted or stopped on request: Argo CD shows such an application as Suspended, and later waves wait.
if has("TradingActive", "False") then
  return report("Suspended", "TradingActive")
end
local rollout = conditions.Progressing
if rollout ~= nil and (rollout.reason == "RollingOut" or rollout.reason == "RecreationDelayed") then
  return report("Progressing", "Progressing")
end

-- Telemetry does not count, because the agents trade without it. The message shows its problem.
local message = conditions.Ready.message or "ready"
if has("TelemetryReady", "False") or has("TelemetryReady", "Unknown") then
  message = message .. "; telemetry: " .. (conditions.TelemetryReady.message or "not ready")
end
return {status = "Healthy", message = message}
