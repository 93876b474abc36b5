-- Sends the same request again and again, read from a file as it goes out: wrk -s request.lua URL -- FILE
local request_text

function init(args)
  local file = io.open(args[1], "rb")
  request_text = file:read("*a")
  file:close()
end

function request()
  return request_text
end
