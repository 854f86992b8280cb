-- Statements: what a program does, one after the other.
do
  local UNDEFINED, statements = values.UNDEFINED, program.statements
  local expression, body, assigner = program.expression, program.body, program.assigner
  local put, captured, found = program.put, program.captured, program.found

  function statements.text(node)
    local text = node[2]
    return function() put(text) end
  end

  function statements.emit(node)
    local value = expression(node[2])
    return function(scope) put(values.text(value(scope))) end
  end

  statements["do"] = function(node)
    return expression(node[2])
  end

  statements["if"] = function(node)
    local arms, n, otherwise = {}, node[2].n, body(node[3])
    for index = 1, n do
      arms[index] = { expression(node[2][index][1]), body(node[2][index][2]) }
    end
    return function(scope)
      for index = 1, n do
        if values.is_true(arms[index][1](scope)) then
          return arms[index][2](scope)
        end
      end
      return otherwise(scope)
    end
  end

  -- Those that pass the loop's test.
  local function passing(items, assign, test, scope)
    if test == nil then
      return items
    end
    local kept, n = {}, 0
    for index = 1, items.n do
      values.spend(1)
      local inside = { [0] = scope }
      assign(inside, items[index])
      if values.is_true(test(inside)) then
        n = n + 1
        kept[n] = items[index]
      end
    end
    return values.list(kept, n)
  end

  -- Whether something in a part of a program asks for the loop that it stands in.
  local function asks_for_loop(part)
    if type(part) ~= "table" or part.t ~= "list" then
      return false
    elseif part[1] == "cycle" or (part[1] == "name" and part[2] == "loop") then
      return true
    end
    for index = 1, part.n do
      if asks_for_loop(part[index]) then
        return true
      end
    end
    return false
  end

  local function or_undefined(value)
    return value == nil and UNDEFINED or value
  end

  statements["for"] = function(node)
    local assign, over, test = assigner(node[2]), expression(node[3]), node[4] ~= values.NONE and expression(node[4]) or nil
    local run, otherwise, told = body(node[5]), body(node[6]), asks_for_loop(node)
    return function(scope)
      local items = passing(values.items(over(scope)), assign, test, scope)
      local around = told and found(scope, "loop")
      local depth = values.kind(around) == "map" and around.h.depth or 0
      for index = 1, items.n do
        values.spend(1)
        local inside = { [0] = scope }
        inside.loop = told and values.map({
          index = index, index0 = index - 1, revindex = items.n - index + 1, revindex0 = items.n - index,
          first = index == 1, last = index == items.n, length = items.n, depth = depth + 1, depth0 = depth,
          previtem = or_undefined(items[index - 1]), nextitem = or_undefined(items[index + 1]),
        }) or nil
        assign(inside, items[index])
        run(inside)
      end
      if items.n == 0 then
        otherwise({ [0] = scope })
      end
    end
  end

  function statements.set(node)
    local assign, value = assigner(node[2]), expression(node[3])
    return function(scope) assign(scope, value(scope)) end
  end

  statements["with"] = function(node)
    local assigns, n, run = {}, node[2].n, body(node[3])
    for index = 1, n do
      assigns[index] = { assigner(node[2][index][1]), expression(node[2][index][2]) }
    end
    return function(scope)
      local inside = { [0] = scope }
      for index = 1, n do
        assigns[index][1](inside, assigns[index][2](inside))
      end
      run(inside)
    end
  end

  function statements.macro(node)
    local name, params, run = node[2], {}, body(node[4])
    for index = 1, node[3].n do
      local default = node[3][index][2]
      params[index] = { node[3][index][1], default ~= values.NONE and expression(default) or nil }
    end
    return function(scope)
      scope[name] = { t = "macro", f = function(args, n, named)
        if n > #params then
          error(name .. " takes " .. #params .. " arguments", 0)
        end
        local inside = { [0] = scope }
        for index, param in ipairs(params) do
          local value = args[index]
          if value == nil then
            value = named[param[1]]
          end
          if value == nil then
            value = param[2] and param[2](inside)
          end
          inside[param[1]] = or_undefined(value)
        end
        return program.deeper(function() return captured(run, inside) end, name)
      end }
    end
  end
end
