-- What wrk sends: the same request with another number each time. Arguments after "--":
-- the template's file, the number of groups, the length of the cycle (0 = never repeat), the first number.
-- The template is cut at the number's place once; a request is then one table.concat, done in C.
local TURN, GROUP = "@@@@@@@@@@", "%$%$%$%$"
local shapes, groups, cycle, turn = {}, 1, 0, 0

local function cut(raw)
  local parts, from = {}, 1
  while true do
    local first, last = raw:find(TURN, from, true)
    if not first then break end
    parts[#parts + 1] = raw:sub(from, first - 1)
    from = last + 1
  end
  parts[#parts + 1] = raw:sub(from)
  return parts
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local raw = file:read("*a")
  file:close()
  groups, cycle, turn = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  for group = 0, groups - 1 do
    shapes[group] = cut((raw:gsub(GROUP, string.format("%04d", group))))
  end
end

function request()
  local number = turn
  turn = turn + 1
  if cycle > 0 then number = number % cycle end
  return table.concat(shapes[number % groups], string.format("%010d", number))
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "us": %d, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
