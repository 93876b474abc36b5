-- Sends each request to the next of the prefixes of a file: wrk -s routes.lua URL -- FILE
local requests = {}
local at = 0

function init(args)
  for prefix in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", prefix .. "/orders/1")
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
