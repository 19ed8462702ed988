-- What all scripts begin with. ARGV 1 is until when the call may be carried out, by the server's clock: `0`
-- or, where it may have been sent before, `1`, and milliseconds since 1970 in 15 digits.
local again, last = string.sub(ARGV[1], 1, 1) == '1', tonumber(string.sub(ARGV[1], 2))

-- A note of a call stays for longer than that, also where the clock of a server that takes over is behind.
local stays = string.format('%.0f', last + 10000)

local function kind_of(name)
  return redis.call('TYPE', name).ok
end

-- Says why nothing may be done; nil if all may. Nothing fails after the first write, as a server does not
-- take back what a script has done: keys of another's type and rights that the user lacks are found before.
local function refusal(commands, kinds)
  local time = redis.call('TIME')
  if time[1] * 1000 + math.floor(time[2] / 1000) > last then
    return 'late'
  end
  for number, kind in pairs(kinds) do
    local is = kind_of(KEYS[number])
    if is ~= 'none' and is ~= kind then
      return 'foreign ' .. is .. ' ' .. KEYS[number]
    end
  end
  for _, command in ipairs(commands) do
    if not redis.acl_check_cmd(command, KEYS[1]) then
      return redis.error_reply(
        'NOPERM the user may not run `' .. string.lower(command) .. '`, which a change of a store needs'
      )
    end
  end
end

-- Returns the number of 20 digits that a key holds; nothing where it is none.
local function number_in(name)
  local number = redis.call('GET', name) or ''
  return #number == 20 and not string.find(number, '%D') and number or ''
end

-- Tells those who wait what has changed: a key, or nothing where there may be many. Who may not tell them changes
-- the store all the same: they look again by themselves.
local function tell(command, channel, key)
  redis.pcall(command, channel, key or '')
end

