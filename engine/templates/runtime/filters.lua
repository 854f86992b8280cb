-- Filters and tests. Each is given its value, what it was called with by name, and the rest of its arguments.
local filters, tests = {}, {}
do
  local kind, text, number, list = values.kind, values.text, values.number, values.list

  local function on_text(work)
    return function(value) return work(text(value)) end
  end

  filters.lower = on_text(string.lower)
  filters.upper = on_text(string.upper)
  filters.title = on_text(texts.title)
  filters.string = on_text(function(value) return value end)
  filters.escape = on_text(texts.escaped)
  filters.e = filters.escape
  function filters.safe(value) return value end
  function filters.urlencode(value)
    if kind(value) ~= "map" then
      return texts.url(text(value))
    end
    local found = {}
    for index, key in ipairs(values.keys(value)) do
      found[index] = texts.url(text(key)) .. "=" .. texts.url(text(value.h[key]))
    end
    return table.concat(found, "&")
  end
  function filters.capitalize(value)
    local found = text(value)
    return string.upper(string.sub(found, 1, 1)) .. string.lower(string.sub(found, 2))
  end
  function filters.trim(value, _, characters)
    return texts.trimmed(text(value), characters ~= nil and text(characters) or nil)
  end
  function filters.replace(value, _, old, new) return texts.replaced(text(value), text(old), text(new)) end
  function filters.lines(value)
    local found = texts.split(string.gsub(text(value), "\r\n", "\n"), "\n")
    if found[found.n] == "" then
      found[found.n], found.n = nil, found.n - 1
    end
    return found
  end
  function filters.split(value, _, by, most)
    if by == nil or by == values.NONE then
      return texts.words(text(value))
    end
    return texts.split(text(value), text(by), most ~= nil and values.whole(most) or nil)
  end
  function filters.indent(value, named, width, first, blank)
    local n = values.whole(width or named.width)
    values.fits(n)
    return texts.indented(text(value), n, values.is_true(first or named.first or false), values.is_true(blank or named.blank or false))
  end

  local SAFE = { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026", ["'"] = "\\u0027" }
  function filters.tojson(value)
    local found = json.encode(value)
    return string.find(found, "[<>&']") and (string.gsub(found, "[<>&']", SAFE)) or found
  end

  function filters.length(value)
    local of = kind(value)
    if of == "map" then
      return #values.keys(value)
    elseif of == "string" or of == "list" then
      return values.items(value).n
    end
    error("a " .. of .. " has no length", 0)
  end
  filters.count = filters.length

  function filters.default(value, named, other, also_false)
    local missing = value == values.UNDEFINED
    if not missing and values.is_true(also_false or named.boolean or false) then
      missing = not values.is_true(value)
    end
    return missing and (other == nil and "" or other) or value
  end
  filters.d = filters.default

  function filters.first(value)
    local found = values.items(value)[1]
    return found == nil and values.UNDEFINED or found
  end
  function filters.last(value)
    local items = values.items(value)
    local found = items[items.n]
    return found == nil and values.UNDEFINED or found
  end
  function filters.list(value)
    return kind(value) == "list" and value or values.items(value)
  end
  function filters.reverse(value)
    local items, found = values.items(value), {}
    values.spend(items.n)
    for index = 1, items.n do
      found[index] = items[items.n + 1 - index]
    end
    return kind(value) == "string" and table.concat(found) or list(found, items.n)
  end
  function filters.join(value, _, by)
    if value == values.UNDEFINED or value == values.NONE then
      return ""
    end
    local items, found, size, between = values.items(value), {}, 0, by ~= nil and text(by) or ""
    values.spend(items.n)
    for index = 1, items.n do
      found[index] = text(items[index])
      size = size + #found[index] + #between
      values.fits(size)
    end
    return table.concat(found, between)
  end

  local function outermost(sign)
    return function(value)
      local items = values.items(value)
      local found = items[1]
      for index = 2, items.n do
        if values.compare(items[index], found) * sign > 0 then
          found = items[index]
        end
      end
      return found == nil and values.UNDEFINED or found
    end
  end
  filters.min, filters.max = outermost(-1), outermost(1)

  function filters.sum(value)
    local items, found = values.items(value), 0
    for index = 1, items.n do
      values.spend(1)
      found = operators["+"](found, items[index])
    end
    return found
  end

  -- By a path of attributes such as a.b, or 0.
  local function reached(value, path)
    for _, name in ipairs(texts.split(text(path), ".")) do
      value = values.item(value, tonumber(name) or name)
    end
    return value
  end

  local function folded(value, named)
    local exact = named.case_sensitive ~= nil and values.is_true(named.case_sensitive)
    return type(value) == "string" and not exact and string.lower(value) or value
  end

  -- A copy in order; of equals the earlier stays before the later.
  local function sorted(items, key, backwards)
    local rows = {}
    for index = 1, items.n do
      rows[index] = { key(items[index]), index, items[index] }
    end
    table.sort(rows, function(a, b)
      local order = values.compare(a[1], b[1])
      if order == 0 then
        return a[2] < b[2]
      end
      return backwards and order > 0 or not backwards and order < 0
    end)
    local found = {}
    for index = 1, items.n do
      found[index] = rows[index][3]
    end
    return list(found, items.n)
  end

  function filters.sort(value, named)
    local backwards = named.reverse ~= nil and values.is_true(named.reverse)
    return sorted(values.items(value), function(one)
      return folded(named.attribute ~= nil and reached(one, named.attribute) or one, named)
    end, backwards)
  end

  function filters.unique(value, named)
    local items, found, n, seen = values.items(value), {}, 0, {}
    for index = 1, items.n do
      local key = json.encode(list({ folded(named.attribute ~= nil and reached(items[index], named.attribute) or items[index], named) }, 1))
      if not seen[key] then
        seen[key], n = true, n + 1
        found[n] = items[index]
      end
    end
    return list(found, n)
  end

  function filters.items(value)
    if kind(value) ~= "map" then
      error("a " .. kind(value) .. " has no names", 0)
    end
    local found = {}
    for index, key in ipairs(values.keys(value)) do
      found[index] = list({ key, value.h[key] }, 2)
    end
    return list(found)
  end

  function filters.dictsort(value, named)
    local place = named.by == "value" and 2 or 1
    local backwards = named.reverse ~= nil and values.is_true(named.reverse)
    return sorted(filters.items(value), function(one) return folded(one[place], named) end, backwards)
  end

  function filters.attr(value, _, name) return values.attribute(value, name) end

  function filters.batch(value, _, size, filler)
    local items, n, found = values.items(value), values.whole(size), {}
    if n < 1 then
      error("a batch has at least 1 item", 0)
    end
    for begin = 1, items.n, n do
      local some = {}
      for index = begin, math.min(begin + n - 1, items.n) do
        some[#some + 1] = items[index]
      end
      while filler ~= nil and #some < n do
        values.spend(1)
        some[#some + 1] = filler
      end
      found[#found + 1] = list(some)
    end
    return list(found)
  end

  function filters.slice(value, _, count, filler)
    local items, n, found, at = values.items(value), values.whole(count), {}, 1
    if n < 1 then
      error("there is at least 1 slice", 0)
    end
    values.spend(n)
    local each, more = math.floor(items.n / n), items.n % n
    for number_ = 1, n do
      local some = {}
      for _ = 1, each + (number_ <= more and 1 or 0) do
        some[#some + 1] = items[at]
        at = at + 1
      end
      if filler ~= nil and number_ > more then
        some[#some + 1] = filler
      end
      found[number_] = list(some)
    end
    return list(found)
  end

  function filters.map(value, named, name, ...)
    local items, found = values.items(value), {}
    for index = 1, items.n do
      values.spend(1)
      if name ~= nil then
        found[index] = filters[name](items[index], {}, ...)
      else
        local one = reached(items[index], named.attribute)
        found[index] = one == values.UNDEFINED and named.default ~= nil and named.default or one
      end
    end
    return list(found, items.n)
  end

  local function chosen(wanted, with_attribute)
    local function choose(value, attribute, name, ...)
      local items, found, n = values.items(value), {}, 0
      for index = 1, items.n do
        values.spend(1)
        local one = items[index]
        if with_attribute then
          one = reached(one, attribute)
        end
        local is
        if name ~= nil then
          is = tests[name](one, ...)
        else
          is = values.is_true(one)
        end
        if is == wanted then
          n = n + 1
          found[n] = items[index]
        end
      end
      return list(found, n)
    end
    if with_attribute then
      return function(value, _, ...) return choose(value, ...) end
    end
    return function(value, _, ...) return choose(value, nil, ...) end
  end
  filters.select, filters.reject = chosen(true, false), chosen(false, false)
  filters.selectattr, filters.rejectattr = chosen(true, true), chosen(false, true)

  function filters.bool(value) return values.is_true(value) end

  function filters.abs(value)
    local found, float = number(value)
    if found == nil or kind(value) == "big" then
      error("no absolute value of a " .. kind(value), 0)
    end
    return float and values.float(math.abs(found)) or math.abs(found)
  end

  function filters.round(value, _, places)
    local found, float = number(value)
    if found == nil then
      error("a " .. kind(value) .. " cannot be rounded", 0)
    elseif not float then
      return value
    end
    local factor = 10 ^ (places ~= nil and values.whole(places) or 0)
    local scaled = math.abs(found * factor)
    local whole = math.floor(scaled)
    -- Halves go away from zero.
    local up = whole + (scaled - whole >= 0.5 and 1 or 0)
    return values.float((found < 0 and -up or up) / factor)
  end

  function filters.int(value)
    local of = kind(value)
    if of == "int" or of == "big" then
      return value
    elseif of == "string" then
      local found = string.match(value, "^%s*[+-]?%d+%s*$") and json.decode(string.gsub(texts.trimmed(value), "^(%+?)(%-?)0*(%d)", "%2%3"))
      if not found then
        found = tonumber(string.match(value, "^%s*[+-]?%d*%.?%d*[eE]?[+-]?%d*%s*$") and value or "")
        if found == nil then
          error("this is no number", 0)
        end
        return filters.int(values.float(found))
      end
      return found
    end
    local found = number(value)
    if found == nil or found ~= found or math.abs(found) > values.EXACT then
      error("a " .. of .. " is no whole number", 0)
    end
    return (found < 0 and math.ceil(found) or math.floor(found)) + 0
  end

  function filters.float(value)
    local found = number(value)
    if type(value) == "string" then
      found = string.match(value, "^%s*[+-]?[%d%.]+[eE]?[+-]?%d*%s*$") and tonumber(value) or nil
    end
    if found == nil then
      error("a " .. kind(value) .. " is no number", 0)
    end
    return values.float(found)
  end

  function tests.undefined(value) return value == values.UNDEFINED end
  function tests.defined(value) return value ~= values.UNDEFINED end
  function tests.none(value) return value == values.NONE end
  function tests.boolean(value) return type(value) == "boolean" end
  function tests.string(value) return type(value) == "string" end
  function tests.int(value) return kind(value) == "int" or kind(value) == "big" end
  tests.integer = tests.int
  function tests.float(value) return kind(value) == "float" end
  function tests.number(value) return tests.int(value) or tests.float(value) end
  function tests.sequence(value) return kind(value) == "list" end
  function tests.mapping(value) return kind(value) == "map" end
  function tests.iterable(value) return kind(value) == "list" or kind(value) == "map" or kind(value) == "string" end
  tests["true"] = function(value) return value == true end
  tests["false"] = function(value) return value == false end
  function tests.odd(value) return number(value) ~= nil and number(value) % 2 == 1 end
  function tests.even(value) return number(value) ~= nil and number(value) % 2 == 0 end
  function tests.divisibleby(value, other)
    local a, b = number(value), number(other)
    return a ~= nil and b ~= nil and b ~= 0 and math.fmod(a, b) == 0
  end
  function tests.startingwith(value, other)
    return string.sub(text(value), 1, #text(other)) == text(other)
  end
  function tests.endingwith(value, other)
    return text(other) == "" or string.sub(text(value), -#text(other)) == text(other)
  end
  tests["in"] = function(value, other) return values.contains(other, value) end
  function tests.lower(value) return type(value) == "string" and string.lower(value) == value and string.find(value, "%l") ~= nil end
  function tests.upper(value) return type(value) == "string" and string.upper(value) == value and string.find(value, "%u") ~= nil end
  tests.eq, tests.equalto = operators.compare["=="], operators.compare["=="]
  tests.ne = operators.compare["!="]
  tests.lt, tests.lessthan, tests.le = operators.compare["<"], operators.compare["<"], operators.compare["<="]
  tests.gt, tests.greaterthan, tests.ge = operators.compare[">"], operators.compare[">"], operators.compare[">="]
end
