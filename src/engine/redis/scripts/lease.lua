-- A lock: a hash with a field for each holder, `<end> <token> <x or s> <who>`.
--
-- KEYS: 1 the lock, 2 the last token. ARGV: 2 `take`, `keep` or `free`, 3 the holder, 4 `x` or `s`,
-- 5 for how long, in milliseconds, 6 who that is, 7 and 8 the command that publishes and the channel.
-- Answers with the token, or with `busy` and after how many milliseconds the lock may be free. Who takes,
-- keeps or frees what it has taken, kept or freed already finds that so.
local refused = refusal({ 'HSET', 'HDEL', 'SET', 'PEXPIRE' }, { 'hash', 'string' })
if refused then
  return refused
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lasts = tonumber(ARGV[5])

local function hold(token)
  local ends = string.format('%.0f', now + lasts)
  redis.call('HSET', KEYS[1], ARGV[3], ends .. ' ' .. token .. ' ' .. ARGV[4] .. ' ' .. ARGV[6])
  -- Locks that are shared by turns have holders of different ends.
  redis.call('PEXPIRE', KEYS[1], lasts * 2)
  return 'held ' .. token
end

local mine = redis.call('HGET', KEYS[1], ARGV[3])
if ARGV[2] == 'free' then
  if redis.call('HDEL', KEYS[1], ARGV[3]) == 1 then
    tell(ARGV[7], ARGV[8])
  elseif not again then
    -- The server has lost it, or it ended and another took it.
    return 'lost'
  end
  return 'free'
elseif mine then
  return hold(string.match(mine, '^%d+ (%d+) '))
elseif ARGV[2] == 'keep' then
  return 'lost'
end
local first
local holders = redis.call('HGETALL', KEYS[1])
for at = 1, #holders, 2 do
  local ends, kind = string.match(holders[at + 1], '^(%d+) %d+ (.)')
  ends = tonumber(ends)
  if not ends or ends <= now then
    redis.call('HDEL', KEYS[1], holders[at])
  elseif ARGV[4] == 'x' or kind == 'x' then
    if not first or ends < first then
      first = ends
    end
  end
end
if first then
  return 'busy ' .. string.format('%.0f', first - now)
end
-- A server that comes back without the last token gives a larger one all the same: none is below the
-- microseconds since 1970.
local token = math.max(time[1] * 1000000 + time[2], (tonumber(redis.call('GET', KEYS[2]) or '') or 0) + 1)
token = string.format('%.0f', token)
redis.call('SET', KEYS[2], token)
return hold(token)
