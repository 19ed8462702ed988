-- Removes many entries of a bucket. KEYS: 1 index, 2 counter of the list, 3 note of this call, then the
-- entries. ARGV: 2 the time, 3 which go: `all`, or only the `dead`, 4 and 5 the command that publishes and
-- the channel; then the key of each entry. Answers with one digit for each: 1 a live entry was removed, 0
-- there was none.
local refused = refusal({ 'SET', 'UNLINK', 'ZREM', 'PEXPIREAT' }, { [1] = 'zset', [2] = 'string', [3] = 'string' })
if refused then
  return refused
end
local answers = redis.call('GET', KEYS[3])
if answers then
  redis.call('PEXPIREAT', KEYS[3], stays)
  return answers
end
answers = ''
local now = tonumber(ARGV[2])
local largest, is_changed = '', false
for number = 4, #KEYS do
  local key = ARGV[number + 2]
  local kind = kind_of(KEYS[number])
  local is_live = kind ~= 'none'
  if kind == 'string' then
    local head = redis.call('GETRANGE', KEYS[number], 0, 104)
    if #head == 105 then
      local expires = tonumber(string.sub(head, 43, 57))
      is_live = not expires or expires == 0 or expires > now
    end
  end
  if ARGV[3] == 'all' or not is_live then
    if kind ~= 'none' then
      redis.call('UNLINK', KEYS[number])
    end
    redis.call('ZREM', KEYS[1], key)
    is_changed = true
    if #key == 20 and key > largest then
      largest = key
    end
  end
  answers = answers .. (is_live and '1' or '0')
end
if string.match(KEYS[2], ':list}c$') and largest > number_in(KEYS[2]) then
  redis.call('SET', KEYS[2], largest)
end
redis.call('SET', KEYS[3], answers, 'PXAT', stays)
if is_changed then
  tell(ARGV[4], ARGV[5])
end
return answers
