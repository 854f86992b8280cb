-- Texts: base64, replacing, and what filters of texts do.
local texts = {}
do
  local STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local SAFE = string.sub(STANDARD, 1, 62) .. "-_"
  local byte, char, sub = string.byte, string.char, string.sub

  local function encode(text, alphabet, padding)
    local found, n = {}, 0
    for at = 1, #text, 3 do
      local a, b, c = byte(text, at, at + 2)
      local bits = a * 65536 + (b or 0) * 256 + (c or 0)
      for place = 0, 3 do
        n = n + 1
        local digit = math.floor(bits / 64 ^ (3 - place)) % 64
        local absent = (place == 2 and b == nil) or (place == 3 and c == nil)
        found[n] = absent and padding or sub(alphabet, digit + 1, digit + 1)
      end
    end
    return table.concat(found)
  end

  local function is_utf8(text)
    local at = 1
    while true do
      at = string.find(text, "[\128-\255]", at)
      if at == nil then
        return true
      end
      local _, stop = string.find(text, "^[\194-\223][\128-\191]", at)
      stop = stop or select(2, string.find(text, "^[\224-\239][\128-\191][\128-\191]", at))
      stop = stop or select(2, string.find(text, "^[\240-\244][\128-\191][\128-\191][\128-\191]", at))
      if stop == nil then
        return false
      end
      local first, second = byte(text, at, at + 1)
      if (first == 224 and second < 160) or (first == 237 and second > 159) or (first == 240 and second < 144) or (first == 244 and second > 143) then
        return false
      end
      at = stop + 1
    end
  end

  -- "" of what is none, or no text.
  local function decode(text, alphabet)
    if #text % 4 ~= 0 then
      return ""
    end
    local digits = {}
    for index = 1, 64 do
      digits[byte(alphabet, index)] = index - 1
    end
    local padding = #string.match(text, "=?=?$")
    local found, n = {}, 0
    for at = 1, #text, 4 do
      local bits, absent = 0, at + 3 == #text and padding or 0
      for place = 0, 3 do
        local digit = place < 4 - absent and digits[byte(text, at + place)] or (place >= 4 - absent and 0) or nil
        if digit == nil then
          return ""
        end
        bits = bits * 64 + digit
      end
      local three = char(math.floor(bits / 65536), math.floor(bits / 256) % 256, bits % 256)
      if byte(three, 4 - absent, 3) and string.find(sub(three, 4 - absent), "[^%z]") then
        return ""
      end
      n = n + 1
      found[n] = sub(three, 1, 3 - absent)
    end
    local whole = table.concat(found)
    return is_utf8(whole) and whole or ""
  end

  function texts.base64(text) return encode(text, STANDARD, "=") end
  function texts.base64url(text) return encode(text, SAFE, "=") end
  function texts.from_base64(text) return decode(text, STANDARD) end
  function texts.from_base64url(text) return decode(text, SAFE) end

  local urandom = io.open("/dev/urandom", "rb")

  -- Sixteen random bytes, in base64.
  function texts.random()
    local bytes = urandom and urandom:read(16)
    if not bytes then
      error("there is nothing random here", 0)
    end
    return encode(bytes, STANDARD, "")
  end

  function texts.replaced(text, old, new)
    local found, n, size, at = {}, 0, 0, 1
    local function put(part)
      n, size = n + 1, size + #part
      values.fits(size)
      found[n] = part
    end
    if old == "" then
      for _, one in ipairs(values.characters(text)) do
        put(new)
        put(one)
      end
      put(new)
      return table.concat(found)
    end
    while true do
      local begin, stop = string.find(text, old, at, true)
      if begin == nil then
        put(sub(text, at))
        return table.concat(found)
      end
      put(sub(text, at, begin - 1))
      put(new)
      at = stop + 1
    end
  end

  function texts.split(text, by, most)
    local found, n, at = {}, 0, 1
    while most == nil or n < most do
      local begin, stop = string.find(text, by, at, true)
      if begin == nil then
        break
      end
      n = n + 1
      found[n], at = sub(text, at, begin - 1), stop + 1
    end
    values.spend(n)
    found[n + 1] = sub(text, at)
    return values.list(found, n + 1)
  end

  function texts.words(text)
    local found, n = {}, 0
    for word in string.gmatch(text, "%S+") do
      n = n + 1
      found[n] = word
    end
    values.spend(n)
    return values.list(found, n)
  end

  function texts.trimmed(text, characters)
    if characters == nil then
      return string.match(string.match(text, "^%s*(.*)$"), "^(.-)%s*$")
    end
    local set, all = {}, values.characters(text)
    for _, one in ipairs(values.characters(characters)) do
      set[one] = true
    end
    local begin, stop = 1, all.n
    while begin <= stop and set[all[begin]] do
      begin = begin + 1
    end
    while stop >= begin and set[all[stop]] do
      stop = stop - 1
    end
    return table.concat(all, "", begin, stop)
  end

  function texts.title(text)
    return (string.gsub(string.gsub(string.lower(text), "^%l", string.upper), "([%s%p])(%l)", function(before, letter)
      return before .. string.upper(letter)
    end))
  end

  local HTML = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#x27;", ["/"] = "&#x2f;" }

  function texts.escaped(text)
    return (string.gsub(text, "[&<>\"'/]", HTML))
  end

  function texts.url(text)
    return (string.gsub(text, "[^%w%-%._~/]", function(one)
      return string.format("%%%02X", byte(one))
    end))
  end

  function texts.indented(text, width, first, blank)
    local lines, pad = {}, string.rep(" ", width)
    for _, line in ipairs(texts.split(text, "\n")) do
      local bare = (#lines == 0 and not first) or (line == "" and not blank)
      lines[#lines + 1] = bare and line or pad .. line
    end
    return table.concat(lines, "\n")
  end

  -- What a cookie header says, the first value of a name; `folded`, names in small letters.
  function texts.cookie(header, name, folded)
    for pair in string.gmatch(header, "[^;\n]+") do
      local key, value = string.match(pair, "^%s*(.-)%s*=%s*(.-)%s*$")
      if key == name or (folded and key and string.lower(key) == string.lower(name)) then
        return value
      end
    end
    return ""
  end
end
