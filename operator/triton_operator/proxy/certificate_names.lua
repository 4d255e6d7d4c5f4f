-- A converter that lists the names in a client certificate, which HAProxy 2.6 has no expression for.
--
-- Input: a certificate whose signature HAProxy has verified, as hexadecimal digits of its DER. Output: its DNS names and URIs as ":HEX:HEX:", in
-- capital letters, so that a name cannot be part of another one; ":" if it has none or cannot be read.

local EXTENSIONS, SEQUENCE, OBJECT_ID, OCTETS, BOOLEAN = 0xa3, 0x30, 0x06, 0x04, 0x01
local DNS_NAME, URI = 0x82, 0x86
local SUBJECT_ALTERNATIVE_NAME = "\x55\x1d\x11"

-- The elements of `data`, as pairs of tag and content; nil if it is not DER.
local function elements(data)
  local found, position = {}, 1
  while position <= #data do
    local tag, size = data:byte(position, position + 1)
    if size == nil then return nil end
    position = position + 2
    if size > 0x80 and size <= 0x84 then
      local count = size & 0x7f
      if position + count - 1 > #data then return nil end
      size = string.unpack(">I" .. count, data, position)
      position = position + count
    elseif size >= 0x80 then
      return nil
    end
    if position + size - 1 > #data then return nil end
    found[#found + 1] = { tag, data:sub(position, position + size - 1) }
    position = position + size
  end
  return found
end

local function content(list, index, tag)
  local element = list and list[index]
  return element and element[1] == tag and element[2] or nil
end

-- The content of the extension with alternative names, or nil.
local function alternative_names(certificate)
  local outer = content(elements(certificate), 1, SEQUENCE)
  local signed = outer and content(elements(outer), 1, SEQUENCE)
  for _, part in ipairs(signed and elements(signed) or {}) do
    local list = part[1] == EXTENSIONS and content(elements(part[2]), 1, SEQUENCE)
    for _, extension in ipairs(list and elements(list) or {}) do
      local fields = elements(extension[2]) or {}
      if content(fields, 1, OBJECT_ID) == SUBJECT_ALTERNATIVE_NAME then
        return content(fields, content(fields, 2, BOOLEAN) and 3 or 2, OCTETS)
      end
    end
  end
  return nil
end

local function names(digits)
  -- A string from HAProxy ends at its first zero byte, so it passes digits.
  local certificate = digits:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end)
  local octets = alternative_names(certificate)
  local list = octets and content(elements(octets), 1, SEQUENCE)
  local result = ":"
  for _, name in ipairs(list and elements(list) or {}) do
    if name[1] == DNS_NAME or name[1] == URI then
      result = result .. name[2]:gsub(".", function(byte) return string.format("%02X", byte:byte()) end) .. ":"
    end
  end
  return result
end

if not core then -- A test loads the function alone.
  return names
end

core.register_converters("certificate_names", names)
