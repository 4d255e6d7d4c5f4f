-- Check the messages of a gRPC request while they pass: their size, and the model that each names.
--
-- Input: the body of a request to Triton, in chunks of any size, and the variables txn.models (":a:b:", the models that
-- the caller has access to; absent if it has access to all) and txn.max_message (bytes). Output: nothing, or an error,
-- after which HAProxy resets the request, so that Triton never gets the whole message.
--
-- A parser of protobuf takes the last of several equal fields, and accepts fields in any order. Every field of a message
-- is therefore read until its end, and every occurrence of the name must be a permitted one.

local NAME_FIELD = 1 -- The field of the model's name in every request of the service.
local LONGEST_NAME = 255
local VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

local Messages = {}
Messages.__index = Messages

-- A reader of one request. `models` is a string or nil.
function Messages.new(models, max_size)
  return setmetatable({ models = models, max_size = max_size, rest = "", skip = 0 }, Messages)
end

-- Read a base 128 number at `position`; returns the number and the position after it, or nil if bytes are missing.
local function varint(data, position, last)
  local value, shift = 0, 0
  while position <= last do
    local byte = data:byte(position)
    value = value | (byte & 0x7f) << shift
    position = position + 1
    if byte < 0x80 then
      return value, position
    end
    shift = shift + 7
    if shift > 63 then
      return -1, position
    end
  end
  return nil
end

-- Read the field at `position`; `last` is the end of the message or of the data, `complete` whether it is the former.
-- Returns the position after the field, or after its length if its content is skipped later; nil if bytes are missing;
-- or false and a problem.
function Messages:field(data, position, last, complete)
  local key, after = varint(data, position, last)
  if key == nil then
    if complete then return false, "malformed message" end
    return nil
  end
  -- Parsers differ in what they make of larger numbers.
  if key < 8 or key > 0xffffffff then
    return false, "malformed message"
  end
  local kind, number = key & 7, key >> 3
  if kind == VARINT then
    local value, behind = varint(data, after, last)
    if value == nil and complete then return false, "malformed message" end
    return behind
  elseif kind == FIXED64 then
    self.skip = 8
    return after
  elseif kind == FIXED32 then
    self.skip = 4
    return after
  elseif kind ~= BYTES then
    return false, "malformed message"
  end
  local size, content = varint(data, after, last)
  if size == nil then
    if complete then return false, "malformed message" end
    return nil
  end
  if size < 0 then
    return false, "malformed message"
  end
  if number ~= NAME_FIELD then
    self.skip = size
    return content
  end
  if size > LONGEST_NAME then
    return false, "model not permitted"
  end
  if content + size - 1 > last then
    if complete then return false, "malformed message" end
    return nil
  end
  local name = data:sub(content, content + size - 1)
  if not name:find("^[%w._-]+$") or not self.models:find(":" .. name .. ":", 1, true) then
    return false, "model not permitted"
  end
  self.named = true
  return content + size
end

-- Read the next chunk; returns a problem or nil.
function Messages:read(chunk)
  local data = self.rest .. chunk
  local position = 1
  while true do
    local available = #data - position + 1
    if self.skip > 0 then
      if self.skip > self.left then return "malformed message" end
      local step = math.min(self.skip, available)
      position, self.skip, self.left = position + step, self.skip - step, self.left - step
      if self.skip > 0 then break end
    elseif self.left == nil then
      if available < 5 then break end
      if self.models and data:byte(position) ~= 0 then
        return "compressed message"
      end
      self.left = string.unpack(">I4", data, position + 1)
      if self.left > self.max_size then
        return "message too large"
      end
      self.named = false
      position = position + 5
    elseif self.left == 0 then
      if self.models and not self.named then
        return "model not permitted"
      end
      self.left = nil
    elseif not self.models then
      self.skip = self.left
    else
      local last = position + math.min(self.left, available) - 1
      local after, problem = self:field(data, position, last, self.left <= available)
      if after == false then return problem end
      if after == nil then break end
      self.left = self.left - (after - position)
      position = after
    end
  end
  self.rest = data:sub(position)
  return nil
end

if not core then -- A test loads the parser alone.
  return Messages
end

local Filter = { id = "grpc_messages", flags = filter.FLT_CFG_FL_HTX }
Filter.__index = Filter

function Filter:new()
  return setmetatable({}, Filter)
end

function Filter:http_headers(txn, message)
  if not message.channel:is_resp() then
    self.messages = Messages.new(txn:get_var("txn.models"), tonumber(txn:get_var("txn.max_message")))
    filter.register_data_filter(self, message.channel)
  end
  return filter.CONTINUE
end

function Filter:http_payload(txn, message)
  if message.channel:is_resp() then return end
  if is_withdrawn(txn) then
    txn:set_var("txn.refused", "NotAdmitted")
    error("the caller is no longer admitted")
  end
  local chunk = message:body()
  local problem = chunk and self.messages:read(chunk)
  if problem then
    txn:set_var("txn.refused", "MessageRefused")
    error(problem)
  end
end

core.register_filter("grpc_messages", Filter, function(template) return template end)
