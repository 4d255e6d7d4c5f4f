-- Refuse callers that a newer policy no longer admits, in an old worker that still has connections and streams.
--
-- Input: the table `admissions`, which is generated, the newest configuration, whose comments name what it admits, and
-- the variables txn.caller, txn.iss, txn.kid and txn.jti. Output: the variable txn.withdrawn, or an error of a stream.

local text, read_at = nil, 0

-- The newest configuration; read once a second, and only in a worker that is stopping.
local function newest()
  local now = core.now().sec
  if text == nil or now ~= read_at then
    local file = io.open(admissions.newest)
    text, read_at = file and file:read("a") or "", now
    if file then file:close() end
  end
  return text
end

local function names(kind, what)
  return newest():find("\n# " .. kind .. " " .. what .. "\n", 1, true) ~= nil
end

local function has_key(issuer, kid)
  for _, key in ipairs(admissions.keys[issuer .. ":" .. (kid or "")] or {}) do
    if names("key", key) then return true end
  end
  return false
end

-- Whether the newest policy does not admit the caller of a transaction, or its key or token, any more.
function is_withdrawn(txn)
  -- HAProxy 2.6 gives a number, and 0 is true in Lua.
  if txn.f:stopping() == 0 or names("admits", admissions.all_clients) then return false end
  local caller = txn:get_var("txn.caller")
  if caller == nil or not names("admits", admissions.callers[caller]) then return true end
  local issuer = txn:get_var("txn.iss")
  if issuer == nil then return false end
  local token = txn:get_var("txn.jti")
  return not has_key(issuer, txn:get_var("txn.kid"))
    or token ~= nil and names("revokes", issuer .. ":" .. token)
end

core.register_action("check_withdrawal", { "http-req" }, function(txn)
  if is_withdrawn(txn) then txn:set_var("txn.withdrawn", "1") end
end)
