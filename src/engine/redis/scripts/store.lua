-- Stores many entries of a bucket. KEYS: 1 index, then the entries. ARGV: 1 whether the namespace is
-- registered, 2 the time, 3 which stay: `overwrite`, `absent` or `newer`, 4 and 5 as ever; then for each
-- entry its key, expires, and the entry. Answers with one number for each: 1 stored, 0 left, 2 damaged.
if ARGV[1] ~= '1' and redis.call('EXISTS', KEYS[1]) == 0 then
  return 'register'
end
local now, mode = tonumber(ARGV[2]), ARGV[3]
local answers, members = {}, {}
for number = 2, #KEYS do
  local at = 6 + (number - 2) * 3
  local key, expires, entry = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local answer = 1
  if mode ~= 'overwrite' then
    local head = redis.call('GETRANGE', KEYS[number], 0, 104)
    if head ~= '' then
      if #head < 105
        or string.sub(redis.sha1hex(string.sub(head, 1, 87) .. key), 1, 16) ~= string.sub(head, 89, 104)
      then
        answer = 2
      else
        local until_then = tonumber(string.sub(head, 43, 57))
        local is_live = until_then == 0 or until_then > now
        -- A call that is repeated finds what it has stored itself.
        local is_mine = string.sub(head, 5, 20) == string.sub(entry, 5, 20)
        if is_live and not is_mine
          and (mode == 'absent' or string.sub(head, 22, 41) >= string.sub(entry, 22, 41))
        then
          answer = 0
        end
      end
    end
  end
  if answer == 1 then
    if tonumber(expires) == 0 then
      redis.call('SET', KEYS[number], entry)
    else
      redis.call('SET', KEYS[number], entry, 'PXAT', string.format('%.0f', tonumber(expires) + 60000))
    end
    members[#members + 1] = 0
    members[#members + 1] = key
  end
  answers[#answers + 1] = answer
end
if #members > 0 then
  redis.call('ZADD', KEYS[1], unpack(members))
  redis.call(ARGV[4], ARGV[5], '')
end
return answers
