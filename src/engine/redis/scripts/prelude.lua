-- What the scripts begin with that change one entry. The form of an entry is told in codec.rs.
--
-- KEYS: 1 index of the bucket, 2 entry, 3 note of this call; of a list, 4 its counter; and last, where
-- ARGV 3 asks, the hash of the names of namespaces, which a server of a cluster may not have.
-- ARGV: 2 the time in milliseconds, 3 whether the namespace is registered: `1` yes, `0` nobody knows, or `?`
-- and its name, 4 the command that publishes, 5 the channel, 6 the key of the entry; then what each says.
local counter = KEYS[4] and string.match(KEYS[4], '}c$') and KEYS[4]

-- Returns what is to be answered at once: why nothing may be done, or what was answered before.
local function begin(commands)
  local no = refusal(commands, { [1] = 'zset', [3] = 'string', [4] = counter and 'string' or nil })
  if no then
    return no
  end
  local answer = redis.call('GET', KEYS[3])
  if answer then
    -- A write, so that the WAIT that follows waits for all that was written before.
    redis.call('PEXPIREAT', KEYS[3], stays)
  end
  return answer
end

local function note(answer)
  redis.call('SET', KEYS[3], answer, 'PXAT', stays)
end

-- Answers that nothing was changed. Of a call that comes again another may still be on its way: it must
-- not change anything after this was told.
local function no(answer)
  if again then
    note(answer)
  end
  return answer
end

local function registered()
  if ARGV[3] == '1' then
    return true
  elseif redis.call('EXISTS', KEYS[1]) == 0 then
    return false
  end
  -- Where the hash is of another type, or may not be asked, the index has to be enough.
  return ARGV[3] == '0' or redis.pcall('HEXISTS', KEYS[#KEYS], string.sub(ARGV[3], 2)) ~= 0
end

-- Returns the header of the entry if it is live, nil if there is none, and false if it is damaged.
local function header()
  local kind = kind_of(KEYS[2])
  if kind == 'none' then
    return nil
  elseif kind ~= 'string' then
    return false
  end
  local head = redis.call('GETRANGE', KEYS[2], 0, 104)
  if #head < 105 or string.sub(head, 1, 4) ~= 'kv1 '
    or string.sub(redis.sha1hex(string.sub(head, 1, 87) .. ARGV[6]), 1, 16) ~= string.sub(head, 89, 104)
  then
    return false
  end
  local expires = tonumber(string.sub(head, 43, 57))
  if expires ~= 0 and expires <= tonumber(ARGV[2]) then
    return nil
  end
  return head
end

local function sealed(covered)
  return covered .. ' ' .. string.sub(redis.sha1hex(covered .. ARGV[6]), 1, 16) .. '\n'
end

-- Redis drops an entry a minute after its time: the clock of whoever asks decides, not the server's.
local function kept_until(expires)
  return string.format('%.0f', tonumber(expires) + 60000)
end

local function write(entry, expires)
  if tonumber(expires) == 0 then
    redis.call('SET', KEYS[2], entry)
  else
    redis.call('SET', KEYS[2], entry, 'PXAT', kept_until(expires))
  end
  redis.call('ZADD', KEYS[1], 0, ARGV[6])
end

local function drop()
  -- The number of an element that was there is never given again.
  if counter and ARGV[6] > number_in(counter) then
    redis.call('SET', counter, ARGV[6])
  end
  redis.call('UNLINK', KEYS[2])
  redis.call('ZREM', KEYS[1], ARGV[6])
end

local function done(answer)
  note(answer)
  tell(ARGV[4], ARGV[5], ARGV[6])
  return answer
end

-- Tells whether a condition holds: true, false, or nil where damage keeps it from being known.
local function holds(head, kind, wanted)
  if kind == 'always' then
    return true
  elseif head == false then
    return nil
  elseif kind == 'absent' then
    return head == nil
  elseif head == nil then
    return false
  elseif kind == 'exists' then
    return true
  end
  return string.sub(head, 5, 20) == wanted
end

