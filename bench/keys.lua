-- Sends each request with the next key of a file: wrk -s keys.lua URL -- FILE
local requests = {}
local at = 0

function init(args)
  for key in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", "/", { ["X-Api-Key"] = key })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
