-- Functions of templates: kgateway's, and MiniJinja's. `message` is what is rendered for.
local functions = {}
do
  local text = values.text

  local function given(value)
    if type(value) ~= "string" then
      error("a text must stand here, and this is a " .. values.kind(value), 0)
    end
    return value
  end

  function functions.header(message, name) return message.header(given(name)) end
  function functions.request_header(message, name) return message.request_header(given(name)) end
  function functions.body(message) return message.body or "" end
  function functions.context(message) return message.json or values.UNDEFINED end
  function functions.env(_, name) return os.getenv(given(name)) or "" end
  function functions.get_cookie(message, name) return texts.cookie(message.cookies(), given(name), false) end
  function functions.get_cookie_i(message, name) return texts.cookie(message.cookies(), given(name), true) end
  function functions.base64_encode(_, value) return texts.base64(given(value)) end
  function functions.base64url_encode(_, value) return texts.base64url(given(value)) end
  function functions.base64_decode(_, value) return texts.from_base64(given(value)) end
  function functions.base64url_decode(_, value) return texts.from_base64url(given(value)) end

  function functions.raw_string(_, value)
    local quoted = string.sub(json.quoted(given(value)), 2, -2)
    return quoted
  end

  function functions.replace_with_string(_, value, old, new)
    return texts.replaced(given(value), given(old), given(new))
  end

  function functions.replace_with_random(_, value, old)
    return texts.replaced(given(value), given(old), texts.random())
  end

  -- In bytes. A length that is 0, less, or more than there is means all the rest.
  function functions.substring(_, value, begin, length)
    local from, all = values.whole(begin), #given(value)
    if from < 0 then
      error("a text begins at 0", 0)
    end
    local size = length ~= nil and values.whole(length) or 0
    if size <= 0 or from + size > all then
      size = all - from
    end
    return string.sub(value, from + 1, from + size)
  end

  function functions.range(_, first, second, third)
    local step = third ~= nil and values.whole(third) or 1
    local begin = second ~= nil and values.whole(first) or 0
    local stop = values.whole(second ~= nil and second or first)
    if step == 0 then
      error("a range has no step of 0", 0)
    end
    local found, n = {}, 0
    for at in values.counting(begin, step > 0 and stop - 1 or stop + 1, step) do
      n = n + 1
      found[n] = at
    end
    return values.list(found, n)
  end

  local function copied(from, named)
    local fields = {}
    if from ~= nil then
      if values.kind(from) ~= "map" then
        error("a map must stand here", 0)
      end
      for key, value in pairs(from.h) do
        fields[key] = value
      end
    end
    for key, value in pairs(named) do
      fields[key] = value
    end
    return values.map(fields)
  end

  functions.takes_named = { dict = true, namespace = true }
  function functions.dict(_, named, from) return copied(from, named) end

  function functions.namespace(_, named, from)
    local found = copied(from, named)
    found.open = true
    return found
  end
end
