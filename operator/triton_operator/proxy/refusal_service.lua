-- Answer a refused request after its body was read: HAProxy's own responses reset a request whose body is still on its
-- way, and many clients then report the reset instead of the response.
--
-- Input: the table `responses`, which is generated, and the variables txn.refused (the reason) and txn.protocol ("http"
-- or "grpc"). Output: a response.

local MOST_BYTES = 16 << 20 -- Of a larger body, the rest is not waited for.

core.register_service("refuse", "http", function(applet)
  local read = 0
  while read < MOST_BYTES do
    local chunk = applet:receive(65536)
    if chunk == nil or #chunk == 0 then break end
    read = read + #chunk
  end
  local response = responses[applet:get_var("txn.refused") .. "." .. applet:get_var("txn.protocol")]
  applet:set_status(response.status)
  for _, header in ipairs(response.headers) do
    applet:add_header(header[1], header[2])
  end
  applet:start_response()
  if #response.body > 0 then
    applet:send(response.body)
  end
end)
