-- What Envoy calls for each message. A transformation is linked once and kept by its id; all its templates are rendered
-- before anything is changed, so that each sees the message as it came. What a handle gives (headers, buffers) is void
-- once the script has waited for a body: it is asked for anew each time.
local NAMESPACE = "penstock.dev/transformation"
local CACHED = 1024
local linked, count, told = {}, 0, 0

-- Once a second: what messages bring must not fill the log.
local function tell(handle, text)
  local now = os.time()
  if now ~= told then
    told = now
    handle:logWarn("transformation: " .. text)
  end
end

local function link_side(side)
  if side == nil then
    return nil
  end
  local made = { remove = {}, parse = side.h.parse, reads = side.h.reads, needs = side.h.needs, body_needs = side.h.body_needs }
  for _, part in ipairs({ "set", "add", "metadata" }) do
    made[part] = {}
    for index = 1, side.h[part].n do
      local row = side.h[part][index]
      made[part][index] = { row[1], row[2], render = program.link(row[row.n]) }
    end
  end
  for index = 1, side.h.remove.n do
    made.remove[index] = side.h.remove[index]
  end
  made.body = side.h.body and program.link(side.h.body)
  return made
end

-- The transformation that is in force for a message, nil when there is none or it cannot be linked.
local function transformation(handle)
  local context = handle:filterContext()
  local id = context:get("id")
  if id == nil then
    return nil
  end
  local known = linked[id]
  if known == nil then
    local fine, made = pcall(function()
      local read = json.decode(context:get("program"))
      return { request = link_side(read.h.request), response = link_side(read.h.response), keep = read.h.keep }
    end)
    if not fine then
      handle:logErr("transformation " .. id .. ": " .. tostring(made))
    end
    if count >= CACHED then
      linked, count = {}, 0
    end
    known = fine and made or {}
    linked[id], count = known, count + 1
  end
  return known
end

-- All values of a header, the way kgateway joins them; "" when there is none.
local function header_of(headers, name, between)
  local n = headers:getNumValues(name)
  if n <= 1 then
    return n == 1 and headers:get(name) or ""
  end
  local found = {}
  for index = 1, n do
    found[index] = headers:getAtIndex(name, index - 1)
  end
  return table.concat(found, between)
end

-- Keeps what a response's templates will read of the request, before anything changes it.
local function keep(handle, names)
  local headers, kept = handle:headers(), {}
  if names == true then
    for name in pairs(headers) do
      kept[name] = header_of(headers, name, name == "cookie" and "\n" or ", ")
    end
  else
    for index = 1, names.n do
      local name = names[index]
      kept[name] = header_of(headers, name, name == "cookie" and "\n" or ", ")
    end
  end
  handle:streamInfo():dynamicMetadata():set(NAMESPACE, "request", kept)
end

local function is_tunnel(headers)
  return headers ~= nil and (string.lower(headers:get("upgrade") or "") == "websocket" or headers:get(":method") == "CONNECT")
end

local FITS = {
  [":authority"] = "^[!-~]+$",
  [":method"] = "^[%w!#$%%&'*+%-.^_`|~]+$",
  [":path"] = "^[/*][!-~\128-\255]*$",
  [":scheme"] = "^https?$",
  [":status"] = "^[2-5]%d%d$",
}

-- HTTP/2 has no value with whitespace around it (RFC 9113 8.2.1): who gets one may give up the stream, or the connection.
-- By bytes: a pattern that ends with $ takes the square of the spaces that a client wrote.
local function bare(text)
  local first, last = 1, #text
  while first <= last and (string.byte(text, first) == 32 or string.byte(text, first) == 9) do
    first = first + 1
  end
  while last >= first and (string.byte(text, last) == 32 or string.byte(text, last) == 9) do
    last = last - 1
  end
  return string.sub(text, first, last)
end

local function change(handle, name, text)
  local headers, fits, value = handle:headers(), FITS[name], bare(text)
  if fits ~= nil then
    if string.find(value, fits) then
      headers:replace(name, value)
    else
      tell(handle, name .. " is left as it is: the template gives no such value")
    end
  elseif value == "" or string.find(value, "[%z\r\n]") then
    headers:remove(name)
  else
    headers:replace(name, value)
  end
end

-- The text of a template, nil when it cannot be rendered.
local function rendered(handle, render, message)
  local fine, text = pcall(render, message)
  if fine then
    return text
  end
  tell(handle, "a template cannot be rendered: " .. tostring(text))
  return nil
end

local function all_rendered(handle, rows, message)
  local texts_ = {}
  for index, row in ipairs(rows) do
    texts_[index] = rendered(handle, row.render, message)
  end
  return texts_
end

-- Puts a text in the place of the body.
local function replace_body(handle, text)
  handle:body(true):setBytes(text)
  local headers = handle:headers()
  headers:replace("content-length", tostring(#text))
  if text == "" then
    headers:remove("content-type")
  end
end

local function apply(handle, side, message, with_body)
  local body
  if with_body and side.body then
    body = not (side.body_needs and not message.parsed) and rendered(handle, side.body, message) or ""
  end
  local set = all_rendered(handle, side.set, message)
  local add = all_rendered(handle, side.add, message)
  local metadata = all_rendered(handle, side.metadata, message)
  if body ~= nil then
    replace_body(handle, body)
  end
  for index, row in ipairs(side.set) do
    change(handle, row[1], set[index] or "")
  end
  for index, row in ipairs(side.add) do
    local value = bare(add[index] or "")
    if value ~= "" and not string.find(value, "[%z\r\n]") then
      handle:headers():add(row[1], value)
    end
  end
  for _, name in ipairs(side.remove) do
    handle:headers():remove(name)
  end
  for index, row in ipairs(side.metadata) do
    if metadata[index] and metadata[index] ~= "" then
      handle:streamInfo():dynamicMetadata():set(row[1], row[2], metadata[index])
    end
  end
end

-- Reads the body where a template wants it; false when the JSON that it should be it is not.
local function take_body(handle, side, message)
  if not side.reads then
    return true
  end
  local buffer = handle:body()
  message.body = buffer and buffer:length() > 0 and buffer:getBytes(0, buffer:length()) or ""
  if side.parse == "json" and message.body ~= "" then
    local fine, value = pcall(json.decode, message.body)
    if not fine then
      tell(handle, "the body is no JSON, and nothing is transformed: " .. tostring(value))
      return false
    end
    if value ~= values.NONE then
      message.parsed, message.json = true, value
      message.fields = values.kind(value) == "map" and value.h or message.fields
    end
  end
  return true
end

function envoy_on_request(handle)
  local made = transformation(handle)
  if made == nil then
    return
  end
  if made.keep then
    keep(handle, made.keep)
  end
  local side = made.request
  if side == nil then
    return
  end
  local function header(name) return header_of(handle:headers(), name, ", ") end
  local message = { fields = {}, header = header, request_header = header }
  function message.cookies() return header_of(handle:headers(), "cookie", "\n") end
  local with_body = not is_tunnel(handle:headers())
  if with_body and not take_body(handle, side, message) then
    return
  end
  if side.needs and not message.parsed then
    handle:respond({ [":status"] = "400" })
    return
  end
  apply(handle, side, message, with_body)
end

-- How a response's templates read the request: as it came, or as it is when it did not come by here.
local function read_request(handle, message)
  local kept = handle:streamInfo():dynamicMetadata():get(NAMESPACE)
  kept = kept and kept.request
  function message.request_header(name)
    if kept then
      return kept[string.lower(name)] or ""
    end
    local headers = handle:requestHeaders()
    return headers and header_of(headers, name, ", ") or ""
  end
  function message.cookies()
    if kept then
      return kept.cookie or ""
    end
    local headers = handle:requestHeaders()
    return headers and header_of(headers, "cookie", "\n") or ""
  end
end

-- Whether a response has a body by its nature (RFC 9110 §6.4.1).
local function has_body(status, request)
  return not (status == "204" or status == "304" or string.sub(status, 1, 1) == "1" or (request and request:get(":method") == "HEAD"))
end

function envoy_on_response(handle)
  local made = transformation(handle)
  local side = made and made.response
  if side == nil then
    return
  end
  local message, request = { fields = {} }, handle:requestHeaders()
  function message.header(name) return header_of(handle:headers(), name, ", ") end
  read_request(handle, message)
  local with_body = not is_tunnel(request) and has_body(handle:headers():get(":status") or "", request)
  if with_body and not take_body(handle, side, message) then
    return
  end
  if side.needs and not message.parsed then
    if with_body then
      replace_body(handle, "")
    end
    handle:headers():replace(":status", "400")
    return
  end
  apply(handle, side, message, with_body)
  if with_body and not has_body(handle:headers():get(":status"), nil) then
    handle:body(true):setBytes("")
    local headers = handle:headers()
    headers:remove("content-length")
    headers:remove("content-type")
  end
end
