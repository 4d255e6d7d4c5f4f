-- Health of a ModelDeployment for Argo CD.
--
-- Enters: `obj`, the object as the API server has it. Leaves: a table with `status` (Healthy, Progressing, Degraded or
-- Suspended) and `message`. It belongs into the ConfigMap argocd-cm under the key
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
  return { status = "Progressing", message = "The operator has not looked at the newest spec yet" }
end

local ready = condition("Ready")
if ready == nil then
  return { status = "Progressing", message = "Waiting for the first status" }
end
if ready.status == "True" and ready.reason == "Suspended" then
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

-- Whatever else is in the way may go by itself: images get pulled, nodes come up. The message says what it is.
return health("Progressing", ready)
