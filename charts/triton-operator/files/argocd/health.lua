-- Health of a ModelDeployment for Argo CD.
--
-- Input: `obj`, the object from the API server. Output: a table with `status` (Healthy, Progressing, Degraded or
-- Suspended) and `message`. Add it to the ConfigMap argocd-cm with the key
-- resource.customizations.health.triton-operator.io_ModelDeployment.

local function condition(kind)
  if obj.status == nil or obj.status.conditions == nil then
    return nil
  end
  for _, entry in ipairs(obj.status.conditions) do
    if entry.type == kind then
      return entry
    end
  end
  return nil
end

local function health(status, entry)
  local message = entry.reason
  if entry.message ~= nil and entry.message ~= "" then
    message = message .. ": " .. entry.message
  end
  return { status = status, message = message }
end

local observed = obj.status ~= nil and obj.status.observedGeneration or nil
if observed == nil or observed < obj.metadata.generation then
  return { status = "Progressing", message = "The operator has not processed the newest spec yet" }
end

local ready = condition("Ready")
if ready == nil then
  return { status = "Progressing", message = "Waiting for the first status" }
end
if ready.status == "True" and ready.reason == "Suspended" then
  return health("Suspended", ready)
end
if ready.reason == "RolloutPaused" then
  return health("Suspended", ready)
end
if ready.status == "True" then
  return health("Healthy", ready)
end

local stalled = condition("Stalled")
if stalled ~= nil and stalled.status == "True" then
  return health("Degraded", stalled)
end

if ready.reason == "ProgressDeadlineExceeded" then
  return health("Degraded", ready)
end

-- Other causes may resolve without intervention, such as image pulls or nodes that start. The message names the cause.
return health("Progressing", ready)
