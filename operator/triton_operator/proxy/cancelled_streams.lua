-- Slow down a connection whose client resets its streams: each of its streams ends some seconds after its reset.
--
-- HAProxy handles up to 100 streams of a connection at the same time, and reads nothing while there are so many. It does
-- not count streams that the client has reset, so a client can open and reset them as quickly as it can send. A stream
-- with this filter counts until it ends. Only streams of the backend `cancelled` have the filter.

local MILLISECONDS = 5000

local Filter = { id = "cancelled_streams", flags = filter.FLT_CFG_FL_HTX }
Filter.__index = Filter

function Filter:new()
  return setmetatable({}, Filter)
end

function Filter:end_analyze(txn, channel)
  if self.waited or channel:is_resp() then
    return filter.CONTINUE
  end
  self.waited = true
  filter.wake_time(MILLISECONDS)
  return filter.WAIT
end

core.register_filter("cancelled_streams", Filter, function(template) return template end)
