/** The scripts that run inside Redis, but for what a batch does (batch-script.ts). */

import { batch, common } from './batch-script.ts'

/** Makes `meta` if there is none, and begins an epoch. KEYS: meta; ARGV: id, layout, groups. */
const begin = `#!lua flags=allow-oom
redis.call('HSETNX', KEYS[1], 'id', ARGV[1])
redis.call('HSETNX', KEYS[1], 'layout', ARGV[2])
redis.call('HSETNX', KEYS[1], 'groups', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
return redis.call('HMGET', KEYS[1], 'id', 'layout', 'groups', 'epoch')
`

/** Fetches a block of incarnations; queues drain only if sessions are claimed. KEYS: meta; ARGV: how many. */
const fetchBlock = `#!lua flags=allow-oom
return redis.call('HINCRBY', KEYS[1], 'incarnations', ARGV[1])
`

/** Makes us the owner of a lane, unless a later one is. KEYS: lane; ARGV: epoch. */
const own = `#!lua flags=allow-oom
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
 * Reads a queue in pieces, so that a limit of bytes is kept without reading all, and tells all as one string:
 * parsed as a reply, each message would cost the broker two. KEYS: queue; ARGV: first id, last id, how many
 * entries, how many bytes of frames beyond which no entry but the first is told.
 */
const read = `#!lua flags=no-writes
local found, bytes, from = {}, 0, ARGV[1]
local most, mostBytes = tonumber(ARGV[3]), tonumber(ARGV[4])
while #found < 2 * most do
  local page = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', math.min(16, most - #found / 2))
  for _, entry in ipairs(page) do
    local frame = entry[2][2]
    local high, middle, low = string.byte(frame, 14, 16)
    if low then bytes = bytes + #frame - 16 - high * 65536 - middle * 256 - low end
    if bytes > mostBytes and #found > 0 then return cmsgpack.pack(found) end
    found[#found + 1] = tonumber(string.match(entry[1], '%d+$'))
    found[#found + 1] = frame
  end
  if #page == 0 then return cmsgpack.pack(found) end
  from = '(' .. page[#page][1]
end
return cmsgpack.pack(found)
`

/** Describes sessions. KEYS: of each its session, queue, released, inbound and tokens. */
const tell = `#!lua flags=no-writes
${common}
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
  noctuleBatch: { lua: `#!lua\n${common}${batch}` },
  noctuleDrain: { lua: `#!lua flags=allow-oom\n${common}${batch}` },
  noctuleBegin: { lua: begin },
  noctuleFetch: { lua: fetchBlock },
  noctuleOwn: { lua: own },
  noctuleRenew: { lua: renew },
  noctuleGiveBack: { lua: giveBack },
  noctuleRead: { lua: read },
  noctuleTell: { lua: tell },
}
