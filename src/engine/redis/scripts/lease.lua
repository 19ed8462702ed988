-- A lock: a hash with a field for each holder, `<end> <token> <x or s> <who>`.
--
-- KEYS: 1 the lock, 2 the counter of tokens. ARGV: 1 `take`, `keep` or `free`, 2 the holder, 3 `x` or `s`,
-- 4 for how long, in milliseconds, 5 who that is, 6 and 7 the command that publishes and the channel.
-- Answers with the token, or with `busy` and after how many milliseconds the lock may be free.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lasts = tonumber(ARGV[4])

local function hold(token)
  local ends = string.format('%.0f', now + lasts)
  redis.call('HSET', KEYS[1], ARGV[2], ends .. ' ' .. token .. ' ' .. ARGV[3] .. ' ' .. ARGV[5])
  -- Locks that are shared by turns have holders of different ends.
  redis.call('PEXPIRE', KEYS[1], lasts * 2)
  return 'held ' .. token
end

local mine = redis.call('HGET', KEYS[1], ARGV[2])
if ARGV[1] == 'free' then
  if redis.call('HDEL', KEYS[1], ARGV[2]) == 1 then
    redis.call(ARGV[6], ARGV[7], '')
  end
  return 'free'
elseif mine then
  return hold(string.match(mine, '^%d+ (%d+) '))
elseif ARGV[1] == 'keep' then
  return 'lost'
end
local first
local holders = redis.call('HGETALL', KEYS[1])
for at = 1, #holders, 2 do
  local ends, kind = string.match(holders[at + 1], '^(%d+) %d+ (.)')
  ends = tonumber(ends)
  if not ends or ends <= now then
    redis.call('HDEL', KEYS[1], holders[at])
  elseif ARGV[3] == 'x' or kind == 'x' then
    if not first or ends < first then
      first = ends
    end
  end
end
if first then
  return 'busy ' .. string.format('%.0f', first - now)
end
return hold(redis.call('INCR', KEYS[2]))
