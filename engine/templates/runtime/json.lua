-- JSON, read strictly (RFC 8259) and written compactly, keys in order.
local json = {}
do
  local DEEPEST = 127
  local ESCAPED = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
  local ESCAPES = { ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }
  local sub, byte, char = string.sub, string.byte, string.char
  local element

  local function utf8(code)
    if code < 0x80 then
      return char(code)
    elseif code < 0x800 then
      return char(0xC0 + math.floor(code / 64), 0x80 + code % 64)
    elseif code < 0x10000 then
      return char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
    end
    return char(0xF0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64, 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
  end

  -- What stands behind a backslash, and where it ends.
  local function escape(text, at)
    local one = sub(text, at, at)
    if one ~= "u" then
      if ESCAPED[one] == nil then
        error("no escape", 0)
      end
      return ESCAPED[one], at + 1
    end
    local digits = string.match(text, "^%x%x%x%x", at + 1)
    local code = tonumber(digits or error("no escape", 0), 16)
    at = at + 5
    if code >= 0xDC00 and code < 0xE000 then
      error("half a character", 0)
    elseif code >= 0xD800 and code < 0xDC00 then
      local low = tonumber(string.match(text, "^\\u(%x%x%x%x)", at) or error("half a character", 0), 16)
      if low < 0xDC00 or low >= 0xE000 then
        error("half a character", 0)
      end
      code, at = 0x10000 + (code - 0xD800) * 1024 + low - 0xDC00, at + 6
    end
    return utf8(code), at
  end

  -- Where the first quote, backslash or control character stands. Patterns are not compiled by LuaJIT, loops are.
  local function special(text, at)
    while true do
      local code = byte(text, at)
      if code == nil or code == 34 or code == 92 or code < 32 then
        return at, code
      end
      at = at + 1
    end
  end

  local function string_(text, at)
    local stop, code = special(text, at)
    if code == 34 then
      return sub(text, at, stop - 1), stop + 1
    end
    local found, n = {}, 0
    while code == 92 do
      found[n + 1] = sub(text, at, stop - 1)
      found[n + 2], at = escape(text, stop + 1)
      n = n + 2
      stop, code = special(text, at)
    end
    if code ~= 34 then
      error("a text does not end", 0)
    end
    found[n + 1] = sub(text, at, stop - 1)
    return table.concat(found), stop + 1
  end

  -- Whether a whole number has 64 bits, with or without a sign; beyond, it is read as a float.
  local function fits_64(digits)
    local most = byte(digits) == 45 and "-9223372036854775808" or "18446744073709551615"
    return #digits < #most or (#digits == #most and digits <= most)
  end

  -- Where the digits end that begin here; raises when there are none.
  local function digits_end(text, at)
    local begin = at
    while true do
      local code = byte(text, at)
      if code == nil or code < 48 or code > 57 then
        break
      end
      at = at + 1
    end
    if at == begin then
      error("no value", 0)
    end
    return at
  end

  local function number(text, at)
    local begin = byte(text, at) == 45 and at + 1 or at
    local stop, whole = digits_end(text, begin), true
    if stop > begin + 1 and byte(text, begin) == 48 then
      error("no value", 0)
    end
    if byte(text, stop) == 46 then
      stop, whole = digits_end(text, stop + 1), false
    end
    local code = byte(text, stop)
    if code == 69 or code == 101 then
      local sign = byte(text, stop + 1)
      stop, whole = digits_end(text, stop + ((sign == 43 or sign == 45) and 2 or 1)), false
    end
    local digits = sub(text, at, stop - 1)
    local value = tonumber(digits)
    if value == math.huge or value == -math.huge then
      error("the number is out of range", 0)
    elseif whole and #digits <= 15 and digits ~= "-0" then
      return value, stop
    elseif whole and digits ~= "-0" and fits_64(digits) then
      return { t = "big", s = digits, v = value }, stop
    end
    return values.float(value), stop
  end

  local function space(text, at)
    while true do
      local code = byte(text, at)
      if code ~= 32 and code ~= 10 and code ~= 13 and code ~= 9 then
        return at
      end
      at = at + 1
    end
  end

  local function array(text, at, depth)
    local found, n = {}, 0
    at = space(text, at)
    if byte(text, at) == 93 then
      return values.list(found, 0), at + 1
    end
    while true do
      n = n + 1
      found[n], at = element(text, at, depth)
      at = space(text, at)
      local code = byte(text, at)
      if code == 93 then
        return values.list(found, n), at + 1
      elseif code ~= 44 then
        error("a list does not end", 0)
      end
      at = at + 1
    end
  end

  local function object(text, at, depth)
    local found = {}
    at = space(text, at)
    if byte(text, at) == 125 then
      return values.map(found), at + 1
    end
    while true do
      at = space(text, at)
      if byte(text, at) ~= 34 then
        error("a name must stand here", 0)
      end
      local key
      key, at = string_(text, at + 1)
      at = space(text, at)
      if byte(text, at) ~= 58 then
        error("a colon must stand here", 0)
      end
      found[key], at = element(text, at + 1, depth)
      at = space(text, at)
      local code = byte(text, at)
      if code == 125 then
        return values.map(found), at + 1
      elseif code ~= 44 then
        error("an object does not end", 0)
      end
      at = at + 1
    end
  end

  local WORDS = { [116] = { "true", true }, [102] = { "false", false }, [110] = { "null", values.NONE } }

  element = function(text, at, depth)
    at = space(text, at)
    local code = byte(text, at)
    if code == 34 then
      return string_(text, at + 1)
    elseif code == 123 or code == 91 then
      if depth == DEEPEST then
        error("it is nested too deep", 0)
      end
      return (code == 123 and object or array)(text, at + 1, depth + 1)
    end
    local word = WORDS[code]
    if word == nil then
      return number(text, at)
    elseif sub(text, at, at + #word[1] - 1) ~= word[1] then
      error("no value", 0)
    end
    return word[2], at + #word[1]
  end

  -- Raises what is wrong.
  function json.decode(text)
    local value, at = element(text, 1, 0)
    if space(text, at) <= #text then
      error("something stands behind it", 0)
    end
    return value
  end

  function json.quoted(text)
    local _, code = special(text, 1)
    if code == nil then
      return '"' .. text .. '"'
    end
    return '"' .. string.gsub(text, '[%c"\\]', function(one)
      return ESCAPES[one] or (byte(one) < 32 and string.format("\\u%04x", byte(one))) or one
    end) .. '"'
  end

  local function put(out, text)
    out.n, out.size = out.n + 1, out.size + #text
    values.fits(out.size)
    out[out.n] = text
  end

  local write

  local function write_list(value, out)
    put(out, "[")
    for index = 1, value.n do
      if index > 1 then
        put(out, ",")
      end
      write(value[index], out)
    end
    put(out, "]")
  end

  local function write_map(value, out)
    local keys = values.keys(value)
    put(out, "{")
    for index = 1, #keys do
      put(out, (index > 1 and "," or "") .. json.quoted(values.text(keys[index])) .. ":")
      write(value.h[keys[index]], out)
    end
    put(out, "}")
  end

  local ABSENT = { none = true, undefined = true, macro = true }

  write = function(value, out)
    values.spend(1)
    local of = values.kind(value)
    if of == "list" then
      write_list(value, out)
    elseif of == "map" then
      write_map(value, out)
    elseif of == "string" then
      put(out, json.quoted(value))
    elseif ABSENT[of] or (of == "float" and (value.v ~= value.v or value.v == math.huge or value.v == -math.huge)) then
      put(out, "null")
    else
      put(out, values.text(value))
    end
  end

  function json.encode(value)
    local out = { n = 0, size = 0 }
    write(value, out)
    return table.concat(out)
  end
  values.json = json.encode
end
