-- ARGV: 7 condition, 8 what it wants, 9 the end of the list that the entry must be at, or nothing.
local answer = begin({ 'SET', 'UNLINK', 'ZREM', 'PEXPIREAT' })
if answer then
  return answer
end
if ARGV[9] ~= '' then
  -- The numbers of elements have 20 digits, and the largest is no element's.
  local ends
  if ARGV[9] == 'first' then
    ends = redis.call('ZRANGEBYLEX', KEYS[1], '-', '(18446744073709551615', 'LIMIT', 0, 1)
  else
    ends = redis.call('ZREVRANGEBYLEX', KEYS[1], '(18446744073709551615', '-', 'LIMIT', 0, 1)
  end
  if ends[1] ~= ARGV[6] then
    return no('moved')
  end
end
local head = header()
local may = holds(head, ARGV[7], ARGV[8])
if may == nil then
  return no('damaged')
elseif not may then
  if head == nil then
    -- It has expired; what is left of it goes.
    drop()
  end
  return no('no')
end
drop()
if head == nil then
  return no('no')
end
return done('done')
