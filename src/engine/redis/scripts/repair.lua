-- Moves damage out of the way, or names an entry in its index, if all is still as it was found. KEYS: as
-- ever, then 5 and 6 where what is moved goes: the second where something is at the first.
-- Answers with where that is. ARGV: 7 `move`, which moves what is in the place of the entry, or `list`; 8 what
-- was found there.
local refused = refusal({ 'SET', 'RENAME', 'PERSIST', 'ZADD', 'ZREM', 'PEXPIREAT' }, { [3] = 'string' })
if refused then
  return refused
end
local answer = redis.call('GET', KEYS[3])
if answer then
  redis.call('PEXPIREAT', KEYS[3], stays)
  return answer
end
local is_index = kind_of(KEYS[1]) == 'zset'
if ARGV[7] == 'list' then
  if kind_of(KEYS[2]) ~= 'string' or not is_index and kind_of(KEYS[1]) ~= 'none' then
    return no('no')
  end
  redis.call('ZADD', KEYS[1], 0, ARGV[6])
  return done('done')
end
local found = kind_of(KEYS[2])
if found == 'string' then
  found = redis.sha1hex(redis.call('GET', KEYS[2]))
end
if found ~= ARGV[8] then
  return no('no')
end
local there = redis.call('EXISTS', KEYS[5]) == 0 and 5 or 6
redis.call('RENAME', KEYS[2], KEYS[there])
redis.call('PERSIST', KEYS[there])
if is_index then
  redis.call('ZREM', KEYS[1], ARGV[6])
end
return done('aside ' .. there)
