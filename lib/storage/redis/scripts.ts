/**
 * What runs inside Redis. All that changes anything is one script, which takes the operations of whole
 * turns as one argument, knows the last batch it applied, and who may send any.
 *
 * Redis rolls nothing back, so every write has its own status: that a queue is gone, or belongs to a newer
 * incarnation, means that the receiver exists no more, and is no failure. All keys are declared: in a
 * Cluster an undeclared one would look gone while its slot moves.
 */

/** What an operation is called in a batch. Results follow each other in the order of the operations. */
export const Code = {
  /** body, count, then of each target: queue, id, header → seq of each, or `Outcome` */
  Append: 1,
  /** token, body, count, then of each: queue, tokens, id, header → seq of each, or `Outcome` */
  AppendOnce: 2,
  /** session, inbound, incarnation, epoch, Packet Identifier, whether at once done → number */
  Receive: 3,
  /** session, incarnation, epoch */
  ClearWill: 4,
  /** retained, topic, frame */
  Retain: 5,
  /** retained, count, topics */
  ClearRetained: 6,
  /** queue, released, session, incarnation, mark, first id that stays → whether the session is there */
  Trim: 7,
  /** queue, released, incarnation, count, seqs */
  Discard: 8,
  /** queue, released, session, incarnation, epoch, count, seqs */
  Release: 9,
  /** session, inbound, incarnation, epoch, Packet Identifier */
  ForgetInbound: 10,
  /** six keys, Client Identifier, clean, whether only what is there, now, incarnation, expiry, will */
  Claim: 11,
  /** session, incarnation, epoch, count, fields with values, count, fields to delete */
  Update: 12,
  /** six keys, Client Identifier, incarnation, epoch, whether it ends, its end, its will's time, sent to */
  GiveUp: 13,
  /** queue, released, id, seq, then of the other: queue, id, frame → seq, or `Outcome` */
  Move: 14,
  /** six keys, Client Identifier, incarnation, epoch, end, last seq, then counted: fields, released, inbound */
  Adopt: 15,
  /** queue, incarnation, count, then of each: seq, frame */
  AdoptQueue: 16,
  /** tokens, token */
  ForgetToken: 17,
  /** queue, incarnation, seq */
  Raise: 18,
} as const
export type Code = (typeof Code)[keyof typeof Code]

/** What stands for a seq where there is none. */
export const Outcome = {
  /** The receiver exists no more. */
  Gone: 0,
  /** No room. */
  Full: -1,
  /** Redis refused it for a reason that is not ours to know. */
  Refused: -2,
} as const

/** How an answer begins that applied nothing; it is an error reply. */
export const Refusal = {
  /** The lane is not there: Redis has come back without what it kept. */
  Emptied: 'EMPTIED',
  /** Another owner has the lane. */
  Fenced: 'FENCED',
  /** The lane is behind: Redis has lost batches that it had confirmed. */
  Behind: 'BEHIND',
} as const

const parts = `
local call = redis.pcall
local function describe(m, q, r, i)
  local info, stream = call('XINFO', 'STREAM', q), {}
  if not info.err then
    for at = 1, #info, 2 do stream[info[at]] = info[at + 1] end
  end
  local first, last = stream['first-entry'], stream['last-entry']
  local id = stream['last-generated-id'] or '0-0'
  local a = call('HGET', m, 'a') or '0'
  return {
    call('HGETALL', m),
    tonumber(string.match(id, '-(%d+)')),
    stream['length'] or 0,
    first and string.sub(first[2][2], 1, 16) or false,
    first and #first[2][2] or 0,
    last and string.sub(last[2][2], 1, 16) or false,
    call('ZRANGEBYSCORE', r, '(' .. a, '+inf'),
    call('HGETALL', i)
  }
end
`

const batch = `
local lane = call('HMGET', KEYS[1], 'e', 'n')
if not lane[1] then return redis.error_reply('EMPTIED') end
if lane[1] ~= ARGV[1] then return redis.error_reply('FENCED') end
if lane[2] == ARGV[2] then return call('HGET', KEYS[1], 'r') end
if ARGV[3] == '1' and lane[2] + 1 ~= ARGV[2] + 0 then return redis.error_reply('BEHIND') end

local list, at = cmsgpack.unpack(ARGV[4]), 0
local results, count = {}, 0
local sub = string.sub

local function put(value)
  count = count + 1
  results[count] = value
end
local function take()
  at = at + 1
  return list[at]
end
local function key() return KEYS[take()] end
local function seqOf(id, prefix)
  if type(id) == 'string' then return tonumber(sub(id, #prefix)) end
  if not id or string.find(id.err, 'equal or smaller', 1, true) then return 0 end
  return string.find(id.err, 'OOM', 1, true) and -1 or -2
end
local function isOwned(m, inc, epoch)
  local session = call('HMGET', m, 'inc', 'e')
  return session[1] == inc and session[2] == epoch
end
local function drop(m, q, r, i, d, all, id)
  call('DEL', m, q, r, i, d)
  call('ZREM', all, id)
end
local function start(q, inc)
  call('XADD', q, inc .. '-0', 'm', '')
  call('XTRIM', q, 'MAXLEN', '0')
end
local function takeList()
  local taken = {}
  for n = 1, take() do taken[n] = take() end
  return taken
end

local operations = {}
operations[1] = function()
  local body, targets = take(), take()
  for _ = 1, targets do
    local prefix = list[at + 2]
    local id = call('XADD', KEYS[list[at + 1]], 'NOMKSTREAM', prefix, 'm', list[at + 3] .. body)
    at = at + 3
    put(seqOf(id, prefix))
  end
end
operations[2] = function()
  local token, body, targets = take(), take(), take()
  for _ = 1, targets do
    local q, d, prefix, header = key(), key(), take(), take()
    local seq = tonumber(call('HGET', d, token) or nil)
    if not seq then
      seq = seqOf(call('XADD', q, 'NOMKSTREAM', prefix, 'm', header .. body), prefix)
      if seq > 0 then call('HSET', d, token, seq) end
    end
    put(seq)
  end
end
operations[3] = function()
  local m, i, inc, epoch, identifier, isDone = key(), key(), take(), take(), take(), take()
  if not isOwned(m, inc, epoch) then return put(0) end
  if isDone then
    call('HSET', i, identifier, 'd')
    return put(0)
  end
  local number = tonumber(call('HGET', i, identifier) or nil)
  if not number then
    number = call('HINCRBY', i, 'n', 1)
    call('HSET', i, identifier, number)
  end
  put(number)
end
operations[4] = function()
  local m, inc, epoch = key(), take(), take()
  if isOwned(m, inc, epoch) then call('HDEL', m, 'w') end
end
operations[5] = function() call('HSET', key(), take(), take()) end
operations[6] = function() call('HDEL', key(), unpack(takeList())) end
operations[7] = function()
  local q, r, m, inc, mark, stays = key(), key(), key(), take(), take(), take()
  local session = call('HMGET', m, 'inc', 'a')
  if session[1] ~= inc then return put(0) end
  if tonumber(session[2]) < tonumber(mark) then
    call('XTRIM', q, 'MINID', stays)
    call('ZREMRANGEBYSCORE', r, '-inf', mark)
    call('HSET', m, 'a', mark)
  end
  put(1)
end
operations[8] = function()
  local q, r, inc, seqs, ids = key(), key(), take(), takeList(), {}
  for n = 1, #seqs do ids[n] = inc .. '-' .. seqs[n] end
  local removed = call('XDEL', q, unpack(ids))
  if removed ~= 0 then call('ZREM', r, unpack(seqs)) end
end
operations[9] = function()
  local q, r, m, inc, epoch, seqs = key(), key(), key(), take(), take(), takeList()
  if not isOwned(m, inc, epoch) then return end
  for _, seq in ipairs(seqs) do
    local id = inc .. '-' .. seq
    if #call('XRANGE', q, id, id) > 0 then call('ZADD', r, seq, seq) end
  end
end
operations[10] = function()
  local m, i, inc, epoch, identifier = key(), key(), take(), take(), take()
  if isOwned(m, inc, epoch) then call('HDEL', i, identifier) end
end
operations[11] = function()
  local m, q, r, i, d, all = key(), key(), key(), key(), key(), key()
  local id, isClean, isFull, now = take(), take(), take(), take()
  local inc, expiry, will = take(), take(), take()
  local session = call('HMGET', m, 'inc', 'le')
  local isPresent = session[1] ~= false
  if isFull and not isPresent then return put(-1) end
  if isPresent and (isClean or (session[2] and tonumber(session[2]) <= now)) then
    drop(m, q, r, i, d, all, id)
    isPresent = false
  end
  if not isPresent then
    call('HSET', m, 'v', 1, 'inc', inc, 'e', 0, 'a', 0, 's', 0)
    start(q, inc)
  end
  put(isPresent and 1 or 0)
  put(describe(m, q, r, i))
  call('HINCRBY', m, 'e', 1)
  call('HSET', m, 'x', expiry)
  if will then call('HSET', m, 'w', will) else call('HDEL', m, 'w') end
  call('HDEL', m, 'le', 'lw', 's')
  call('ZADD', all, 'inf', id)
end
operations[12] = function()
  local m, inc, epoch, set, unset = key(), take(), take(), takeList(), takeList()
  if not isOwned(m, inc, epoch) then return end
  for n = 1, #set, 2 do call('HSET', m, set[n], set[n + 1]) end
  for n = 1, #unset do call('HDEL', m, unset[n]) end
end
operations[13] = function()
  local m, q, r, i, d, all = key(), key(), key(), key(), key(), key()
  local id, inc, epoch, ends = take(), take(), take(), take()
  local expiresAt, willAt, sentTo = take(), take(), take()
  if not isOwned(m, inc, epoch) then return end
  if ends then return drop(m, q, r, i, d, all, id) end
  call('HSET', m, 'le', expiresAt, 's', sentTo)
  if willAt then call('HSET', m, 'lw', willAt) else call('HDEL', m, 'lw') end
  call('ZADD', all, expiresAt, id)
end
operations[14] = function()
  local q, r, id, seq = key(), key(), take(), take()
  local to, prefix, frame = key(), take(), take()
  if #call('XRANGE', q, id, id) == 0 then return put(0) end
  local moved = seqOf(call('XADD', to, 'NOMKSTREAM', prefix, 'm', frame), prefix)
  if moved > 0 then
    call('XDEL', q, id)
    call('ZREM', r, seq)
  end
  put(moved)
end
operations[15] = function()
  local m, q, r, i, d, all = key(), key(), key(), key(), key(), key()
  local id, inc, epoch, expiresAt, lastSeq = take(), take(), take(), take(), take()
  local fields, released, inbound = takeList(), takeList(), takeList()
  drop(m, q, r, i, d, all, id)
  call('HSET', m, 'v', 1, 'inc', inc, 'e', epoch)
  for n = 1, #fields, 2 do call('HSET', m, fields[n], fields[n + 1]) end
  for _, seq in ipairs(released) do call('ZADD', r, seq, seq) end
  for _, identifier in ipairs(inbound) do call('HSET', i, identifier, 'd') end
  start(q, inc)
  call('XSETID', q, inc .. '-' .. lastSeq)
  call('ZADD', all, expiresAt, id)
end
operations[16] = function()
  local q, inc, entries = key(), take(), take()
  local info = call('XINFO', 'STREAM', q)
  local prefix, last = inc .. '-', ''
  for n = 1, info.err and 0 or #info, 2 do
    if info[n] == 'last-generated-id' then last = info[n + 1] end
  end
  if sub(last, 1, #prefix) ~= prefix then
    at = at + 2 * entries
    return
  end
  local top = call('XREVRANGE', q, '+', '-', 'COUNT', 1)[1]
  call('XSETID', q, top and top[1] or prefix .. '0')
  for _ = 1, entries do call('XADD', q, prefix .. take(), 'm', take()) end
  call('XSETID', q, last)
end
operations[17] = function() call('HDEL', key(), take()) end
operations[18] = function()
  local q, inc, seq = key(), take(), take()
  local info = call('XINFO', 'STREAM', q)
  for n = 1, info.err and 0 or #info, 2 do
    if info[n] == 'last-generated-id' then
      local lastInc, last = string.match(info[n + 1], '(%d+)-(%d+)')
      if lastInc == inc and tonumber(last) < tonumber(seq) then
        call('XSETID', q, inc .. '-' .. seq)
      end
    end
  end
end

while at < #list do operations[take()]() end
local packed = cmsgpack.pack(results)
call('HSET', KEYS[1], 'n', ARGV[2], 'r', packed)
return packed
`

/** Makes us the owner of a lane, unless a later one is. KEYS: lane; ARGV: epoch. */
const own = `#!lua
local epoch = tonumber(redis.call('HGET', KEYS[1], 'e') or 0)
if epoch > tonumber(ARGV[1]) then return 0 end
if epoch < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'e', ARGV[1], 'n', 0)
  redis.call('HDEL', KEYS[1], 'r')
end
return 1
`

/** Prolongs our lease, or takes it if nobody has it. KEYS: node; ARGV: who we are, milliseconds. */
const renew = `#!lua flags=allow-oom
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
`

/** Gives our lease back. KEYS: node; ARGV: who we are. */
const giveBack = `#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
`

/**
 * Reads a queue in pieces, so that a limit of bytes is kept without reading all. KEYS: queue; ARGV: first
 * id, last id, how many entries, how many bytes of frames beyond which no entry but the first is told.
 */
const read = `#!lua flags=no-writes
local found, bytes, from = {}, 0, ARGV[1]
local most, mostBytes = tonumber(ARGV[3]), tonumber(ARGV[4])
while #found < 2 * most do
  local page = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', math.min(16, most - #found / 2))
  for _, entry in ipairs(page) do
    local frame = entry[2][2]
    local extra = string.byte(frame, 14) * 65536 + string.byte(frame, 15) * 256 + string.byte(frame, 16)
    bytes = bytes + #frame - 16 - extra
    if bytes > mostBytes and #found > 0 then return found end
    found[#found + 1] = entry[1]
    found[#found + 1] = frame
  end
  if #page == 0 then return found end
  from = '(' .. page[#page][1]
end
return found
`

/** Describes sessions. KEYS: of each its session, queue, released, inbound and tokens. */
const tell = `#!lua flags=no-writes
${parts}
local told = {}
for n = 1, #KEYS, 5 do
  local described = describe(KEYS[n], KEYS[n + 1], KEYS[n + 2], KEYS[n + 3])
  described[9] = call('HGETALL', KEYS[n + 4])
  told[#told + 1] = described
end
return cmsgpack.pack(told)
`

/** For `defineCommand`. A script without flags is refused when Redis is out of memory. */
export const scripts: Readonly<Record<string, { readonly lua: string }>> = {
  noctuleBatch: { lua: `#!lua\n${parts}${batch}` },
  noctuleDrain: { lua: `#!lua flags=allow-oom\n${parts}${batch}` },
  noctuleOwn: { lua: own },
  noctuleRenew: { lua: renew },
  noctuleGiveBack: { lua: giveBack },
  noctuleRead: { lua: read },
  noctuleTell: { lua: tell },
}
