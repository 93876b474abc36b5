-- Adds to a counter, or takes off it what was given back; with nothing to add it only looks.
-- KEYS[1]: the counter. ARGV: its window in ms, how much, and the number of the window it is meant for, or -1 for the one
-- under way. What is meant for another window changes nothing.
-- Reply: used, ms until the window ends, number of the window.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local length, more, meant = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local window, used, raw = math.floor(now / length), 0, redis.call('GET', KEYS[1])
if raw and #raw == 16 then
  local seen, spent = struct.unpack('>dd', raw)
  if seen >= window then used = spent end
  if seen == window + 1 then window = seen end
end
local left = (window + 1) * length - now
if more ~= 0 and (meant == -1 or meant == window) then
  used = math.max(0, used + more)
  redis.call('SET', KEYS[1], struct.pack('>dd', window, used), 'PX', left + 1000)
end
return {used, left, window}
