-- Creates a PurpleFleaHalt. The spec of the agent stays as it is in git, so a sync does not resume trading.
-- Resume: kubectl delete pfh AGENT-argocd-stop
local halt = {
  ["apiVersion"] = "purpleflea.com/v1alpha1",
  ["kind"] = "PurpleFleaHalt",
  ["metadata"] = {
    ["name"] = obj.metadata.name .. "-argocd-stop",
    ["namespace"] = obj.metadata.namespace,
  },
  ["spec"] = {
    ["level"] = "Stop",
    ["reason"] = "requested in Argo CD",
    ["selector"] = {["names"] = {obj.metadata.name}},
  },
}
return {{["operation"] = "create", ["resource"] = halt}}
