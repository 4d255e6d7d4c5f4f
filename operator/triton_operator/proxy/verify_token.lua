-- Send a token to the frontend `tokens`, which verifies it on a thread without TLS.
--
-- Input: the address of the frontend, and the variable txn.token. Output: the variable txn.token_status, and for a
-- caller ("200") its name in txn.token_caller and the expiry of the token in txn.expires. If the frontend does not
-- answer, for example because this worker is ending and has no successor, the status is "503".

local SECONDS = 5

local function ask(address, token)
  local socket = core.tcp()
  socket:settimeout(SECONDS)
  if not socket:connect(address) then return "503", {} end
  socket:send("GET / HTTP/1.1\r\nHost: tokens\r\nConnection: close\r\nAuthorization: Bearer " .. token .. "\r\n\r\n")
  local status = (socket:receive("*l") or ""):match("^HTTP/1.1 (%d+)") or "503"
  local headers = {}
  while true do
    local name, value = (socket:receive("*l") or ""):match("^([%w-]+): ([^\r]*)")
    if not name then break end
    headers[name] = value
  end
  socket:close()
  return status, headers
end

core.register_action("verify_token", { "http-req" }, function(txn, address)
  local status, headers = ask(address, txn:get_var("txn.token"))
  local expires = tonumber(headers.expires)
  if status == "200" and not (headers.caller and expires) then status = "503" end
  txn:set_var("txn.token_status", status)
  if status == "200" then
    txn:set_var("txn.token_caller", headers.caller)
    txn:set_var("txn.expires", expires)
  end
end, 1)
