-- ARGV: 7 etag, 8 modified, 9 by, 10 expires of a key that is made, 11 a value and its sum that was found right.
local answer = begin({ 'SET', 'ZADD', 'INCRBY', 'DEL', 'PEXPIREAT' })
if answer then
  return answer
end
local head = header()
if head == false then
  return no('damaged')
end
local text, expires = '0', ARGV[10]
if head then
  local len = tonumber(string.sub(head, 59, 68))
  if len > 32 then
    return no('unfit')
  end
  text = redis.call('GETRANGE', KEYS[2], 105, -1)
  local sum = string.sub(head, 70, 85)
  if #text ~= len or string.sub(head, 87, 87) == 's' and string.sub(redis.sha1hex(text), 1, 16) ~= sum then
    return no('damaged')
  elseif string.sub(head, 87, 87) == 'x' and ARGV[11] ~= text .. sum then
    -- This checksum is beyond a script: whoever called looks at the value and calls again.
    return 'look'
  end
  expires = string.sub(head, 43, 57)
  local digits = string.match(text, '^(%-?%d+)\n?$')
  if not digits then
    return no('unfit')
  end
  local sign, number = string.match(digits, '^(%-?)0*(%d*)$')
  if number == '' then
    text = '0'
  else
    text = sign .. number
  end
elseif not registered() then
  return 'register'
end
if head and not registered() then
  return 'register'
end
-- Numbers in a script are exact up to 53 bits only; the server's own are of 64.
redis.call('SET', KEYS[3], text, 'PXAT', stays)
local sum = redis.pcall('INCRBY', KEYS[3], ARGV[9])
if type(sum) == 'table' then
  redis.call('DEL', KEYS[3])
  if string.find(sum.err, 'overflow', 1, true) then
    return no('overflow')
  end
  return no('unfit')
end
text = redis.call('GET', KEYS[3])
local covered = 'kv1 ' .. ARGV[7] .. ' ' .. ARGV[8] .. ' ' .. expires .. ' '
  .. string.format('%010d', #text) .. ' ' .. string.sub(redis.sha1hex(text), 1, 16) .. ' s'
write(sealed(covered) .. text, expires)
return done('sum ' .. text)
