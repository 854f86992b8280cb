-- What operators do. Whole numbers stay exact, or it is an error.
local operators = {}
do
  local kind, number = values.kind, values.number

  local function unfit(operator, a, b)
    error("no " .. operator .. " of a " .. kind(a) .. " and a " .. kind(b), 0)
  end

  -- Both numbers, and whether one of them is a float.
  local function both(operator, a, b)
    local x, x_float, x_big = number(a)
    local y, y_float, y_big = number(b)
    if x == nil or y == nil then
      unfit(operator, a, b)
    end
    local float = x_float or y_float
    if (x_big or y_big) and not float then
      error("the numbers are too large for " .. operator, 0)
    end
    return x, y, float
  end

  local function result(value, float)
    if float then
      return values.float(value)
    elseif math.abs(value) > values.EXACT then
      error("the result is too large", 0)
    end
    -- Whole numbers know no zero below zero.
    return value + 0
  end

  local function joined(a, b)
    local found = {}
    values.spend(a.n + b.n)
    for index = 1, a.n do
      found[index] = a[index]
    end
    for index = 1, b.n do
      found[a.n + index] = b[index]
    end
    return values.list(found, a.n + b.n)
  end

  local function repeated(value, times)
    local n = values.whole(times)
    if n < 0 then
      error("nothing can be repeated less than 0 times", 0)
    end
    if type(value) == "string" then
      values.fits(#value * n)
      return string.rep(value, n)
    end
    local found = {}
    values.spend(value.n * n)
    for index = 0, value.n * n - 1 do
      found[index + 1] = value[index % value.n + 1]
    end
    return values.list(found, value.n * n)
  end

  operators["+"] = function(a, b)
    if type(a) == "string" and type(b) == "string" then
      values.fits(#a + #b)
      return a .. b
    elseif kind(a) == "list" and kind(b) == "list" then
      return joined(a, b)
    end
    local x, y, float = both("+", a, b)
    return result(x + y, float)
  end

  operators["-"] = function(a, b)
    local x, y, float = both("-", a, b)
    return result(x - y, float)
  end

  operators["*"] = function(a, b)
    if type(a) == "string" or kind(a) == "list" then
      return repeated(a, b)
    elseif type(b) == "string" or kind(b) == "list" then
      return repeated(b, a)
    end
    local x, y, float = both("*", a, b)
    return result(x * y, float)
  end

  operators["/"] = function(a, b)
    local x, y = number(a), number(b)
    if x == nil or y == nil then
      unfit("/", a, b)
    end
    return values.float(x / y)
  end

  -- Euclid's, as MiniJinja has it: the remainder is never negative.
  local function euclid(operator, x, y)
    if y == 0 then
      error("no " .. operator .. " by 0", 0)
    end
    local rest = x % math.abs(y)
    return (x - rest) / y, rest
  end

  operators["//"] = function(a, b)
    local x, y, float = both("//", a, b)
    if float then
      local rest = math.fmod(x, y)
      local quotient = (x - rest) / y
      if rest < 0 then
        quotient = y > 0 and quotient - 1 or quotient + 1
      end
      return values.float(quotient)
    end
    return result((euclid("//", x, y)), false)
  end

  operators["%"] = function(a, b)
    local x, y, float = both("%", a, b)
    if float then
      return values.float(math.fmod(x, y))
    end
    local _, rest = euclid("%", x, y)
    return rest
  end

  operators["**"] = function(a, b)
    local x, y, float = both("**", a, b)
    if not float and y < 0 then
      error("no power of a whole number below 0", 0)
    end
    return result(x ^ y, float)
  end

  operators["~"] = function(a, b)
    local x, y = values.text(a), values.text(b)
    values.fits(#x + #y)
    return x .. y
  end

  function operators.negative(a)
    local x, float, big = number(a)
    if x == nil or big or type(a) == "boolean" then
      error("no negative of a " .. kind(a), 0)
    end
    return result(-x, float)
  end

  local COMPARE = {
    ["=="] = values.equal,
    ["!="] = function(a, b) return not values.equal(a, b) end,
    ["<"] = function(a, b) return values.compare(a, b) < 0 end,
    ["<="] = function(a, b) return values.compare(a, b) <= 0 end,
    [">"] = function(a, b) return values.compare(a, b) > 0 end,
    [">="] = function(a, b) return values.compare(a, b) >= 0 end,
    ["in"] = function(a, b) return values.contains(b, a) end,
    ["not in"] = function(a, b) return not values.contains(b, a) end,
  }
  operators.compare = COMPARE
end
