-- Lets the admission policy accept the deletion of a halt whose agents cannot drain (docs/halts.md).
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["purpleflea.com/force-resume"] = "true"
return obj
