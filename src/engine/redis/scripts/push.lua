-- ARGV: 7 the entry, 8 expires. ARGV 6, the key, is a guess of the next.
local answer = begin({ 'SET', 'ZADD', 'PEXPIREAT' })
if answer then
  return answer
end
if not registered() then
  return 'register'
end
local last = redis.call('ZREVRANGEBYLEX', KEYS[1], '(18446744073709551615', '-', 'LIMIT', 0, 1)[1] or ''
local used = number_in(KEYS[4])
-- Of the largest, once it is gone, nothing is behind, and the others can be had.
if used > last and used < '18446744073709551614' then
  last = used
end
if ARGV[6] <= last then
  return 'next ' .. last
end
write(ARGV[7], ARGV[8])
redis.call('SET', KEYS[4], ARGV[6])
return done('done')
