-- Values of templates. Texts, booleans and whole numbers up to 2^53 are Lua's own; all else is a table whose `t` says
-- what it is: undefined, none, float (v), big (s its digits, v about), list (n, [1..n]), map (h), macro (f).
local values = {}
do
  local UNDEFINED, NONE = { t = "undefined" }, { t = "none" }
  local EXACT, BYTES, STEPS = 2 ^ 53, 4 * 1024 * 1024, 200000
  local left = 0
  values.UNDEFINED, values.NONE, values.EXACT = UNDEFINED, NONE, EXACT

  -- What one rendering may cost, so that no template and no body holds a worker up.
  function values.refill()
    left = STEPS
  end

  function values.spend(steps)
    left = left - steps
    if left < 0 then
      error("it takes more than " .. STEPS .. " steps", 0)
    end
  end

  function values.fits(bytes)
    if bytes > BYTES then
      error("the text is longer than " .. BYTES .. " bytes", 0)
    end
  end

  function values.kind(value)
    local kind = type(value)
    if kind == "number" then
      return "int"
    end
    return kind == "table" and value.t or kind
  end
  local kind = values.kind

  function values.list(items, n)
    items.t, items.n = "list", n or #items
    return items
  end

  function values.map(fields)
    return { t = "map", h = fields }
  end

  function values.float(number)
    return { t = "float", v = number }
  end

  -- A number's value, whether it is a float, and whether it is too big to be exact; nil of what is none.
  function values.number(value)
    if type(value) == "number" then
      return value, false, false
    elseif type(value) == "boolean" then
      return value and 1 or 0, false, false
    elseif type(value) == "table" and (value.t == "float" or value.t == "big") then
      return value.v, value.t == "float", value.t == "big"
    end
    return nil
  end
  local number = values.number

  function values.whole(value)
    local found, float, big = number(value)
    if found == nil or big or type(value) == "boolean" or found ~= math.floor(found) or math.abs(found) > EXACT then
      error("a whole number must stand here", 0)
    end
    return found, float
  end

  function values.keys(map)
    if map.k == nil then
      local keys = {}
      for key in pairs(map.h) do
        keys[#keys + 1] = key
      end
      values.spend(#keys)
      table.sort(keys, function(a, b)
        if type(a) == type(b) then
          return a < b
        end
        return type(a) == "number"
      end)
      map.k = keys
    end
    return map.k
  end

  function values.is_true(value)
    local of = kind(value)
    if of == "boolean" then
      return value
    elseif of == "string" then
      return value ~= ""
    elseif of == "int" or of == "float" then
      return number(value) ~= 0
    elseif of == "list" then
      return value.n > 0
    elseif of == "map" then
      return next(value.h) ~= nil
    end
    return of == "big" or of == "macro"
  end

  function values.characters(text)
    local found, n = {}, 0
    for one in string.gmatch(text, ".[\128-\191]*") do
      n = n + 1
      found[n] = one
    end
    values.spend(n)
    return values.list(found, n)
  end

  -- What a loop runs over.
  function values.items(value)
    local of = kind(value)
    if of == "list" then
      return value
    elseif of == "map" then
      local keys, copy = values.keys(value), {}
      for index, key in ipairs(keys) do
        copy[index] = key
      end
      return values.list(copy, #keys)
    elseif of == "string" then
      return values.characters(value)
    elseif of == "undefined" or of == "none" then
      return values.list({}, 0)
    end
    error("a " .. of .. " has no items", 0)
  end

  local function lists_equal(a, b)
    if a.n ~= b.n then
      return false
    end
    for index = 1, a.n do
      if not values.equal(a[index], b[index]) then
        return false
      end
    end
    return true
  end

  local function maps_equal(a, b)
    for key, value in pairs(a.h) do
      if b.h[key] == nil or not values.equal(value, b.h[key]) then
        return false
      end
    end
    for key in pairs(b.h) do
      if a.h[key] == nil then
        return false
      end
    end
    return true
  end

  function values.equal(a, b)
    values.spend(1)
    local x, y = number(a), number(b)
    if x ~= nil and y ~= nil then
      if kind(a) == "big" and kind(b) == "big" then
        return a.s == b.s
      end
      return x == y
    elseif type(a) ~= "table" or type(b) ~= "table" then
      return a == b
    elseif a.t == "list" and b.t == "list" then
      return a == b or lists_equal(a, b)
    elseif a.t == "map" and b.t == "map" then
      return a == b or maps_equal(a, b)
    end
    return a == b
  end

  local ORDER = { undefined = 0, none = 1, boolean = 2, int = 3, float = 3, big = 3, string = 4, list = 5, map = 6, macro = 7 }

  -- Negative, zero or positive.
  function values.compare(a, b)
    values.spend(1)
    local x, y = number(a), number(b)
    if x ~= nil and y ~= nil then
      return x < y and -1 or x > y and 1 or 0
    elseif type(a) == "string" and type(b) == "string" then
      return a < b and -1 or a > b and 1 or 0
    elseif kind(a) == "list" and kind(b) == "list" then
      for index = 1, math.min(a.n, b.n) do
        local one = values.compare(a[index], b[index])
        if one ~= 0 then
          return one
        end
      end
      return a.n - b.n
    end
    return ORDER[kind(a)] - ORDER[kind(b)]
  end

  function values.contains(container, value)
    local of = kind(container)
    if of == "string" then
      return string.find(container, values.text(value), 1, true) ~= nil
    elseif of == "list" then
      for index = 1, container.n do
        if values.equal(container[index], value) then
          return true
        end
      end
      return false
    elseif of == "map" then
      return container.h[value] ~= nil
    elseif of == "undefined" then
      return false
    end
    error("a " .. of .. " contains nothing", 0)
  end

  function values.attribute(value, name)
    local of = kind(value)
    if of == "undefined" then
      error("." .. values.text(name) .. " of what is undefined", 0)
    elseif of == "map" then
      local found = value.h[name]
      return found == nil and UNDEFINED or found
    end
    return UNDEFINED
  end

  function values.item(value, key)
    local of = kind(value)
    if type(key) == "number" and (of == "list" or of == "string") then
      local items = of == "list" and value or values.characters(value)
      local found = items[key < 0 and items.n + key + 1 or key + 1]
      return found == nil and UNDEFINED or found
    end
    return values.attribute(value, key)
  end

  -- Positions as Python counts them: from the end when negative.
  local function bounds(begin, stop, step, n)
    if step > 0 then
      begin = begin == nil and 0 or begin < 0 and math.max(0, n + begin) or begin
      stop = stop == nil and n or stop < 0 and math.max(0, n + stop) or math.min(stop, n)
      return begin + 1, stop, step
    end
    -- Backwards as MiniJinja has it: to the first item, when the stop is it.
    begin = (begin == nil or begin >= n) and n - 1 or begin < 0 and math.max(0, n + begin) or begin
    stop = stop == nil and 0 or stop < 0 and math.max(0, n + stop) or stop
    return begin + 1, stop == 0 and 1 or stop + 2, step
  end

  function values.slice(value, begin, stop, step)
    local of = kind(value)
    if of == "undefined" or of == "none" then
      return values.list({}, 0)
    elseif of ~= "list" and of ~= "string" then
      error("a " .. of .. " cannot be sliced", 0)
    elseif step == 0 then
      error("a slice has no step of 0", 0)
    end
    local items = of == "list" and value or values.characters(value)
    local found, n = {}, 0
    for index in values.counting(bounds(begin, stop, step, items.n)) do
      n = n + 1
      found[n] = items[index]
    end
    return of == "list" and values.list(found, n) or table.concat(found)
  end

  function values.counting(begin, stop, step)
    values.spend(math.max(0, math.floor((stop - begin) / step) + 1))
    local at = begin - step
    return function()
      at = at + step
      if (step > 0 and at <= stop) or (step < 0 and at >= stop) then
        return at
      end
    end
  end

  -- The shortest digits that are read back as the same number, without an exponent.
  local function digits(value)
    local text
    for precision = 15, 17 do
      text = string.format("%." .. precision .. "g", value)
      if tonumber(text) == value then
        break
      end
    end
    local sign, whole, fraction, exponent = string.match(text, "^(%-?)(%d+)%.?(%d*)e?([+-]?%d*)$")
    exponent = tonumber(exponent) or 0
    if exponent > 0 then
      fraction = fraction .. string.rep("0", exponent - #fraction)
      whole, fraction = whole .. string.sub(fraction, 1, exponent), string.sub(fraction, exponent + 1)
    elseif exponent < 0 then
      whole, fraction = "0", string.rep("0", -exponent - 1) .. whole .. fraction
    end
    return sign .. whole .. "." .. (fraction == "" and "0" or fraction)
  end

  function values.float_text(value)
    if value ~= value then
      return "NaN"
    elseif value == math.huge or value == -math.huge then
      return value > 0 and "inf" or "-inf"
    end
    return digits(value)
  end

  function values.text(value)
    local of = kind(value)
    if of == "string" then
      return value
    elseif of == "int" then
      return string.format("%.0f", value)
    elseif of == "boolean" then
      return value and "true" or "false"
    elseif of == "float" then
      return values.float_text(value.v)
    elseif of == "big" then
      return value.s
    elseif of == "list" or of == "map" then
      return values.json(value)
    end
    return of == "none" and "none" or ""
  end
end
