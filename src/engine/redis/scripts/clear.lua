-- Removes many entries of a bucket. KEYS: 1 index, 2 counter of the list, then
-- the entries. ARGV: 1 which go: `all`, or only
-- the `dead`, 2 the time, 3 and 4 the command that publishes and the channel; then the key of each entry.
-- Answers with one number for each: 1 a live entry was removed, 0 there was none.
local now = tonumber(ARGV[2])
local answers, gone = {}, {}
local last = ''
for number = 3, #KEYS do
  local key = ARGV[number + 2]
  local head = redis.call('GETRANGE', KEYS[number], 0, 104)
  local is_live = #head > 0
  if #head == 105 then
    local expires = tonumber(string.sub(head, 43, 57))
    is_live = not expires or expires == 0 or expires > now
  end
  if ARGV[1] == 'all' or not is_live then
    if #head > 0 then
      redis.call('UNLINK', KEYS[number])
    end
    redis.call('ZREM', KEYS[1], key)
    gone[#gone + 1] = key
    if #key == 20 and key > last then
      last = key
    end
  end
  answers[#answers + 1] = is_live and 1 or 0
end
if string.match(KEYS[2], ':list}c$') and last > (redis.call('GET', KEYS[2]) or '') then
  redis.call('SET', KEYS[2], last)
end
if #gone > 0 then
  redis.call(ARGV[3], ARGV[4], '')
end
return answers
