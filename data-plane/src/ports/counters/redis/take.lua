-- Takes from all counters, or from none, by Redis' own time.
-- KEYS: the counters. ARGV: for each its limit, its window in ms, the cost.
-- Reply: 0, or the number of the one that is short, of several the one that stays so longest; then for each: used, ms until
-- its window ends, number of the window.
-- A counter is two doubles, window and used. Windows and steps of the clock: see window.rs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at, was, used, carried, reply, wait = {}, {}, {}, {}, {0}, -1
for i = 1, #KEYS do
  local key, limit, length, cost = KEYS[i], tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  if not at[key] then
    local window, raw = math.floor(now / length), redis.call('GET', key)
    at[key], used[key] = window, 0
    if raw and #raw == 16 then
      local seen, spent = struct.unpack('>dd', raw)
      if seen >= window then used[key] = spent end
      if seen == window + 1 then at[key] = seen end
      carried[key] = seen > window + 1
    end
    was[key] = used[key]
  end
  local left = (at[key] + 1) * length - now
  if used[key] + cost <= limit then
    used[key] = used[key] + cost
  elseif left > wait then
    reply[1], wait = i, left
  end
end
for i = 1, #KEYS do
  local key, length, cost = KEYS[i], tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local left = (at[key] + 1) * length - now
  if reply[1] ~= 0 then used[key] = was[key] end
  -- What is carried along by a clock that stepped back is written at once, to end with the window it is in now.
  if reply[1] == 0 or carried[key] then
    redis.call('SET', key, struct.pack('>dd', at[key], used[key]), 'PX', left + 1000)
  end
  reply[3 * i - 1], reply[3 * i], reply[3 * i + 1] = used[key], left, at[key]
end
return reply
