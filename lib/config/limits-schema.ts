/**
 * The options that keep clients from hurting others: limits per client, user, address and listener, bans, and the
 * watch over the load. Read by `schema.ts` and `listener-schema.ts` only.
 */

import * as z from 'zod'
import {
  BYTES_MAX,
  COUNT_MAX,
  choice,
  type Integer,
  integer,
  optionalText,
  PATH_LENGTH_MAX,
  toggle,
} from './option-kinds.ts'

const SECONDS_MAX = 366 * 86_400

function limit(max: number, sentence: string): Integer {
  return integer(0, max, 0, `${sentence}; 0: no limit.`)
}

/** What can be limited for whoever it is, `whose`. */
function limitsOf(whose: string) {
  return {
    connectionsPerSecond: limit(COUNT_MAX, `How many times ${whose} may connect per second`),
    messagesInPerSecond: limit(COUNT_MAX, `How many messages ${whose} may publish per second`),
    bytesInPerSecond: limit(BYTES_MAX, `How many bytes ${whose} may send per second`),
    messagesOutPerSecond: limit(COUNT_MAX, `How many messages ${whose} is sent per second`),
    bytesOutPerSecond: limit(BYTES_MAX, `How many bytes of messages ${whose} is sent per second`),
    retainedMessagesMax: limit(COUNT_MAX, `How many retained messages of ${whose} are kept`),
    retainedBytesMax: limit(BYTES_MAX, `How many bytes these may have together`),
  }
}

function subscriptionsMax(whose: string): Integer {
  return limit(COUNT_MAX, `How many subscriptions the sessions of ${whose} may have together`)
}

function queuedBytesMax(whose: string): Integer {
  return limit(BYTES_MAX, `How many bytes may wait for the clients of ${whose} together`)
}

function connectionsMax(whose: string): Integer {
  return limit(COUNT_MAX, `How many clients of ${whose} may be connected at once`)
}

/** What all clients of a listener share. */
export const listenerLimits: Readonly<Record<string, Integer>> = {
  ...limitsOf('all clients of this listener together'),
  subscriptionsMax: subscriptionsMax('all clients of this listener'),
  queuedBytesMax: queuedBytesMax('this listener'),
}

export const perClient: z.ZodObject = z.strictObject(limitsOf('a client'))

export const perUser: z.ZodObject = z.strictObject({
  connectionsMax: connectionsMax('a user'),
  ...limitsOf('a user, with all clients,'),
  subscriptionsMax: subscriptionsMax('a user'),
  queuedBytesMax: queuedBytesMax('a user'),
})

export const perAddress: z.ZodObject = z.strictObject({
  connectionsMax: connectionsMax('an address'),
  ...limitsOf('an address, with all clients,'),
  subscriptionsMax: subscriptionsMax('an address'),
  queuedBytesMax: queuedBytesMax('an address'),
  halfOpenMax: integer(
    0,
    COUNT_MAX,
    500,
    'How many connections of an address may be open that have not sent CONNECT yet; the oldest goes. 0: no limit.',
  ),
})

export const limits: z.ZodObject = z.strictObject({
  loopback: toggle(
    false,
    'Whether limits per address, half-open limits and bans that the broker makes itself hold for clients of this machine too.',
  ),
  onRateExceeded: choice(
    ['slow', 'disconnect'],
    'slow',
    'What happens to a client that sends more per second than it may: it is read more slowly, or disconnected (0x96).',
  ),
  burstSeconds: integer(
    1,
    3600,
    5,
    'For how many seconds of rest a rate may be made up for at once.',
  ),
  halfOpenMax: integer(
    0,
    COUNT_MAX,
    5000,
    'How many connections may be open that have not sent CONNECT yet; the oldest goes. 0: no limit.',
  ),
})

export const bans: z.ZodObject = z.strictObject({
  file: optionalText(
    PATH_LENGTH_MAX,
    'Who is banned, kept over restarts: a file of `noctule ban`, made if there is none. A changed file is in force at once. Unset: bans end with the broker.',
  ),
  windowSeconds: integer(1, 86_400, 60, 'Within which time offences are counted.'),
  durationSeconds: integer(
    1,
    SECONDS_MAX,
    300,
    'How long a ban lasts that the broker makes itself.',
  ),
  failedLoginsMax: integer(
    0,
    COUNT_MAX,
    20,
    'How many wrong passwords for one user may come from one address within that time, before that address may not log in as that user; 0: any number.',
  ),
  failedLoginsPerAddressMax: integer(
    0,
    COUNT_MAX,
    200,
    'How many wrong passwords for any users may come from one address before it is banned; 0: any number.',
  ),
  flappingMax: integer(
    0,
    COUNT_MAX,
    100,
    'How many times a client may connect from one address before it may not from there; 0: any number.',
  ),
  entriesMax: integer(
    1,
    100_000,
    5000,
    'How many bans the broker keeps; beyond, the one of its own that ends first goes.',
  ),
})

export const overload: z.ZodObject = z.strictObject({
  eventLoopDelayMaxMs: integer(
    0,
    60_000,
    1000,
    'How late the broker may be with its work before new clients are told that it is busy (0x89); 0: any.',
  ),
  pauseMemoryPercent: integer(
    1,
    100,
    85,
    "From which share of the machine's (or container's) memory, or of V8's heap, on clients that publish are paused.",
  ),
  refuseMemoryPercent: integer(
    1,
    100,
    92,
    'From which share on new clients are refused (0x97) as well.',
  ),
})
