-- Requests the upgrade of an agent that waits for its turn (docs/upgrade.md). Each value is used once.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["purpleflea.com/upgrade"] = tostring(os.time())
return obj
