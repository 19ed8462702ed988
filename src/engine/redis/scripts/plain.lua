-- Carries out one command on a key, in time. KEYS: 1 the key. ARGV: 2 the command, then its other words.
-- Whatever it is, it changes nothing more when it comes again.
local refused = refusal({}, { string.sub(ARGV[2], 1, 1) == 'H' and 'hash' or nil })
if refused then
  return refused
end
return redis.call(ARGV[2], KEYS[1], unpack(ARGV, 3))
