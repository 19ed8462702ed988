-- Stores many entries of a bucket. KEYS: 1 index, 2 note of this call, then the entries. ARGV: 2 the time,
-- 3 whether the namespace is registered, 4 and 5 as ever, 6 which stay: `overwrite`, `absent` or `newer`;
-- then for each entry its key, expires, and the entry. Answers with one digit for each: 1 stored, 0 left,
-- 2 damaged.
local refused = refusal({ 'SET', 'ZADD', 'PEXPIREAT' }, { [1] = 'zset', [2] = 'string' })
if refused then
  return refused
end
local answers = redis.call('GET', KEYS[2])
if answers then
  redis.call('PEXPIREAT', KEYS[2], stays)
  return answers
elseif ARGV[3] ~= '1' and redis.call('EXISTS', KEYS[1]) == 0 then
  return 'register'
end
answers = ''
local now, mode = tonumber(ARGV[2]), ARGV[6]
local members = {}
for number = 3, #KEYS do
  local at = 7 + (number - 3) * 3
  local key, expires, entry = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local answer = '1'
  local kind = mode == 'overwrite' and 'none' or kind_of(KEYS[number])
  if kind ~= 'none' then
    local head = kind == 'string' and redis.call('GETRANGE', KEYS[number], 0, 104) or ''
    if #head < 105
      or string.sub(redis.sha1hex(string.sub(head, 1, 87) .. key), 1, 16) ~= string.sub(head, 89, 104)
    then
      answer = '2'
    else
      local until_then = tonumber(string.sub(head, 43, 57))
      local is_live = until_then == 0 or until_then > now
      if is_live and (mode == 'absent' or string.sub(head, 22, 41) >= string.sub(entry, 22, 41)) then
        answer = '0'
      end
    end
  end
  if answer == '1' then
    if tonumber(expires) == 0 then
      redis.call('SET', KEYS[number], entry)
    else
      redis.call('SET', KEYS[number], entry, 'PXAT', string.format('%.0f', tonumber(expires) + 60000))
    end
    members[#members + 1] = 0
    members[#members + 1] = key
  end
  answers = answers .. answer
end
if #members > 0 then
  redis.call('ZADD', KEYS[1], unpack(members))
end
redis.call('SET', KEYS[2], answers, 'PXAT', stays)
tell(ARGV[4], ARGV[5])
return answers
