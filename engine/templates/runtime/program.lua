-- Links a program, which is a template's tree as lists, to functions that render it. A program is data: no text of a
-- user's is ever run as Lua.
local program = {}
do
  local UNDEFINED, RECURSION = values.UNDEFINED, 100
  local expressions, statements = {}, {}
  program.statements = statements
  local now  -- what is being rendered: `message`, and the output so far

  local function expression(node)
    local link = expressions[node[1]]
    if link == nil then
      error("there is no " .. tostring(node[1]) .. " here", 0)
    end
    return link(node)
  end

  local function all(nodes)
    local found = {}
    for index = 1, nodes.n do
      found[index] = expression(nodes[index])
    end
    return found, nodes.n
  end

  local function body(nodes)
    local found, n = {}, nodes.n
    for index = 1, n do
      local node = nodes[index]
      local link = statements[node[1]]
      if link == nil then
        error("there is no " .. tostring(node[1]) .. " here", 0)
      end
      found[index] = link(node)
    end
    return function(scope)
      for index = 1, n do
        found[index](scope)
      end
    end
  end

  local function put(text)
    now.n, now.size = now.n + 1, now.size + #text
    values.fits(now.size)
    now.out[now.n] = text
  end

  local function captured(run, scope)
    local out, n, size = now.out, now.n, now.size
    now.out, now.n = {}, 0
    run(scope)
    local text = table.concat(now.out)
    now.out, now.n, now.size = out, n, size
    return text
  end

  -- A scope's names; [0] is the scope around it.
  local function found(scope, name)
    while scope do
      local value = scope[name]
      if value ~= nil then
        return value
      end
      scope = scope[0]
    end
    return now.fields[name]
  end

  local function assigner(target)
    if type(target) == "string" then
      return function(scope, value) scope[target] = value end
    elseif target[1] == "attr" then
      return function(scope, value)
        local map = found(scope, target[2])
        if values.kind(map) ~= "map" or not map.open then
          error(target[2] .. " is no namespace", 0)
        end
        map.h[target[3]], map.k = value, nil
      end
    end
    local each = {}
    for index = 1, target[2].n do
      each[index] = assigner(target[2][index])
    end
    return function(scope, value)
      local items = values.items(value)
      if items.n ~= #each then
        error("there are " .. items.n .. " values for " .. #each .. " names", 0)
      end
      for index = 1, #each do
        each[index](scope, items[index])
      end
    end
  end

  function expressions.const(node)
    local value = node[2]
    return function() return value end
  end

  function expressions.name(node)
    local name = node[2]
    return function(scope)
      local value = found(scope, name)
      return value == nil and UNDEFINED or value
    end
  end

  function expressions.list(node)
    local items, n = all(node[2])
    return function(scope)
      local made = {}
      values.spend(n)
      for index = 1, n do
        made[index] = items[index](scope)
      end
      return values.list(made, n)
    end
  end

  function expressions.map(node)
    local pairs_, n = {}, node[2].n
    for index = 1, n do
      pairs_[index] = { expression(node[2][index][1]), expression(node[2][index][2]) }
    end
    return function(scope)
      local made = {}
      values.spend(n)
      for index = 1, n do
        local key = pairs_[index][1](scope)
        if type(key) ~= "string" and type(key) ~= "number" then
          error("a " .. values.kind(key) .. " cannot be a key", 0)
        end
        made[key] = pairs_[index][2](scope)
      end
      return values.map(made)
    end
  end

  function expressions.attr(node)
    local value, name = expression(node[2]), node[3]
    return function(scope) return values.attribute(value(scope), name) end
  end

  function expressions.item(node)
    local value, key = expression(node[2]), expression(node[3])
    return function(scope) return values.item(value(scope), key(scope)) end
  end

  function expressions.slice(node)
    local value, parts = expression(node[2]), {}
    for index = 3, 5 do
      parts[index] = node[index] ~= values.NONE and expression(node[index]) or nil
    end
    local function part(index, scope)
      local found_ = parts[index] and parts[index](scope)
      return found_ and found_ ~= values.NONE and values.whole(found_) or nil
    end
    return function(scope)
      return values.slice(value(scope), part(3, scope), part(4, scope), part(5, scope) or 1)
    end
  end

  expressions["or"] = function(node)
    local a, b = expression(node[2]), expression(node[3])
    return function(scope)
      local value = a(scope)
      return values.is_true(value) and value or b(scope)
    end
  end

  expressions["and"] = function(node)
    local a, b = expression(node[2]), expression(node[3])
    return function(scope)
      local value = a(scope)
      if values.is_true(value) then
        return b(scope)
      end
      return value
    end
  end

  expressions["not"] = function(node)
    local a = expression(node[2])
    return function(scope) return not values.is_true(a(scope)) end
  end

  function expressions.neg(node)
    local a = expression(node[2])
    return function(scope) return operators.negative(a(scope)) end
  end

  function expressions.op(node)
    local work, a, b = operators[node[2]], expression(node[3]), expression(node[4])
    return function(scope)
      values.spend(1)
      return work(a(scope), b(scope))
    end
  end

  function expressions.compare(node)
    local first, links, n = expression(node[2]), {}, node[3].n
    for index = 1, n do
      links[index] = { operators.compare[node[3][index][1]], expression(node[3][index][2]) }
    end
    return function(scope)
      local left = first(scope)
      for index = 1, n do
        local right = links[index][2](scope)
        if not links[index][1](left, right) then
          return false
        end
        left = right
      end
      return true
    end
  end

  function expressions.choose(node)
    local test, yes, no = expression(node[2]), expression(node[3]), node[4] ~= values.NONE and expression(node[4]) or nil
    return function(scope)
      if values.is_true(test(scope)) then
        return yes(scope)
      end
      return no and no(scope) or (no == nil and UNDEFINED) or false
    end
  end

  -- By place and by name, as functions of the scope.
  local function arguments(by_place, by_name)
    local args, n = all(by_place)
    local names = {}
    for index = 1, by_name.n do
      names[by_name[index][1]] = expression(by_name[index][2])
    end
    return function(scope)
      local found_, named = {}, {}
      for index = 1, n do
        found_[index] = args[index](scope)
      end
      for name, value in pairs(names) do
        named[name] = value(scope)
      end
      return found_, n, named
    end
  end

  function expressions.call(node)
    local name, given = node[2], arguments(node[3], node[4])
    local work, by_name = functions[name], functions.takes_named[name]
    return function(scope)
      values.spend(1)
      local own = found(scope, name)
      local args, n, named = given(scope)
      if own ~= nil then
        if values.kind(own) ~= "macro" then
          error(name .. " is a " .. values.kind(own) .. " of the body, and cannot be called", 0)
        end
        return own.f(args, n, named)
      elseif work == nil then
        error("there is no " .. name, 0)
      elseif by_name then
        return work(now.message, named, unpack(args, 1, n))
      end
      return work(now.message, unpack(args, 1, n))
    end
  end

  function expressions.cycle(node)
    local items, n = all(node[2])
    return function(scope)
      local loop = found(scope, "loop")
      return items[loop.h.index0 % n + 1](scope)
    end
  end

  function expressions.filter(node)
    local name, value, given = node[2], expression(node[3]), arguments(node[4], node[5])
    local work = filters[name] or error("there is no filter " .. name, 0)
    return function(scope)
      values.spend(1)
      local of = value(scope)
      local args, n, named = given(scope)
      return work(of, named, unpack(args, 1, n))
    end
  end

  function expressions.test(node)
    local name, value, args, n = node[2], expression(node[3]), all(node[4])
    local work = tests[name] or error("there is no test " .. name, 0)
    return function(scope)
      return work(value(scope), n > 0 and args[1](scope) or nil)
    end
  end

  function expressions.capture(node)
    local run = body(node[2])
    return function(scope) return captured(run, scope) end
  end

  -- A function that renders; raises what is wrong with the program.
  function program.link(node)
    local run = body(node[2])
    return function(message)
      now = { message = message, fields = message.fields, out = {}, n = 0, size = 0, depth = 0 }
      values.refill()
      run({})
      return table.concat(now.out)
    end
  end

  -- For statements.
  program.expression, program.body, program.assigner = expression, body, assigner
  program.put, program.captured, program.found = put, captured, found

  -- What a macro's call runs in: raises when macros call one another too often.
  function program.deeper(run, name)
    now.depth = now.depth + 1
    if now.depth > RECURSION then
      error(name .. " calls itself too often", 0)
    end
    local text = run()
    now.depth = now.depth - 1
    return text
  end
end
