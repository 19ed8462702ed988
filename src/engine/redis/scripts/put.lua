-- ARGV: 7 condition, 8 what it wants, 9 expires or `keep`, 10 the entry.
local answer = begin({ 'SET', 'ZADD', 'PEXPIREAT' })
if answer then
  return answer
end
local head = header()
local may = holds(head, ARGV[7], ARGV[8])
if may == nil then
  return no('damaged')
elseif not may then
  return no('no')
elseif not registered() then
  return 'register'
end
local entry, expires = ARGV[10], ARGV[9]
if expires == 'keep' then
  if head == false then
    return no('damaged')
  end
  expires = head and string.sub(head, 43, 57) or '000000000000000'
  entry = sealed(string.sub(entry, 1, 42) .. expires .. string.sub(entry, 58, 87)) .. string.sub(entry, 106)
end
write(entry, expires)
return done(head == nil and 'new' or 'done')
