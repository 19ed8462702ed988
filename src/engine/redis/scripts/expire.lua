-- ARGV: 7 etag, 8 expires.
local answer = begin({ 'SET', 'SETRANGE', 'UNLINK', 'ZREM', 'PERSIST', 'PEXPIREAT' })
if answer then
  return answer
end
local head = header()
if head == false then
  return no('damaged')
elseif head == nil then
  return no('no')
end
local expires = ARGV[8]
if tonumber(expires) <= tonumber(ARGV[2]) and tonumber(expires) ~= 0 then
  drop()
  return done('done')
end
local covered = 'kv1 ' .. ARGV[7] .. string.sub(head, 21, 42) .. expires .. string.sub(head, 58, 87)
redis.call('SETRANGE', KEYS[2], 0, sealed(covered))
if tonumber(expires) == 0 then
  redis.call('PERSIST', KEYS[2])
else
  redis.call('PEXPIREAT', KEYS[2], kept_until(expires))
end
return done('done')
