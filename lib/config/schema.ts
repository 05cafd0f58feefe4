/**
 * Every option of the broker: type, bounds, default and sentence, each written here and nowhere else.
 * The types in `options.ts`, `config/default.yaml`, the JSON Schema and the tables of the manual are made
 * from this by `npm run generate`. One group per room of the broker; names end with their unit.
 */

import * as z from 'zod'
import { SESSION_NEVER_EXPIRES, TWO_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import { accessGroups } from './access-schema.ts'
import { accountOptions } from './account-schema.ts'
import { bans, limits, overload, perAddress, perClient, perUser } from './limits-schema.ts'
import { listenersSchema } from './listener-schema.ts'
import { metrics } from './metrics-schema.ts'
import {
  BYTES_MAX,
  COUNT_MAX,
  choice,
  integer,
  nameText,
  optionalText,
  PATH_LENGTH_MAX,
  TEXT_LENGTH_MAX,
  toggle,
} from './option-kinds.ts'
import { isKnownStore, keyPrefix, STORES } from './store-urls.ts'

const MiB = 1024 ** 2
const GiB = 1024 ** 3

const security = z
  .strictObject({
    allowAnonymous: z
      .boolean()
      .optional()
      .describe(
        'Whether clients may connect without user name; unset: only on listeners that no other machine can reach.',
      ),
    unauthorizedPublishV3: choice(
      ['acknowledge', 'disconnect'],
      'acknowledge',
      'What an MQTT 3.x client gets for a PUBLISH it may not make: an acknowledgement as if it had worked, or the end of its connection.',
    ),
    passwordFile: optionalText(
      PATH_LENGTH_MAX,
      'Users and their hashed passwords: a file of `noctule user`, or of mosquitto_passwd. A changed file is in force at once.',
    ),
    firstAdministrator: toggle(
      false,
      'Whether `noctule start` makes `security.passwordFile`, where there is none, with a user admin whose random password it prints once.',
    ),
    hashingConcurrency: integer(
      1,
      64,
      2,
      'How many passwords are compared at once, each by a thread; the process has four unless UV_THREADPOOL_SIZE says otherwise, and files need some.',
    ),
    hashingQueueMax: integer(
      0,
      100_000,
      256,
      'How many CONNECTs may wait for that, and how many for a token to be verified; what is beyond is told that the broker is busy (0x89).',
    ),
    passwordCacheMax: integer(
      0,
      COUNT_MAX,
      10_000,
      'How many users that came with the right password may come again without being compared; 0: none.',
    ),
    passwordCacheSeconds: integer(0, 86_400, 600, 'For how long they may.'),
    aclFile: optionalText(
      PATH_LENGTH_MAX,
      'Who may publish and subscribe to what: rules of ours, or an acl_file of Mosquitto. What no rule allows is refused; a changed file is in force at once. Unset: everybody may everything.',
    ),
    aclPartlyReadable: choice(
      ['auto', 'refuse', 'filter'],
      'auto',
      'What happens to a subscription of whose messages the rules allow only some: it is refused, or granted and the others are left out; auto: as the format of the file has it, ours refuses, that of Mosquitto leaves out.',
    ),
    aclDryRun: toggle(
      false,
      'Whether the log only tells what `security.aclFile` would refuse, and nothing is refused.',
    ),
    ...accountOptions,
    ...accessGroups,
    certificateWarningDays: integer(
      0,
      3650,
      30,
      'How many days before a certificate, authority or revocation list of a listener ends the log warns of it, once a day; 0: only when it has ended.',
    ),
  })
  .superRefine(({ scram, passwordFile, redisUrl }, context) => {
    if (scram.length === 0 || passwordFile !== undefined || redisUrl !== undefined) return
    const message = 'a file, since scram is on, unless there is a redisUrl'
    context.addIssue({ code: 'custom', path: ['passwordFile'], message })
  })
  .superRefine(({ firstAdministrator, passwordFile }, context) => {
    if (!firstAdministrator || passwordFile !== undefined) return
    const message = 'a file, since firstAdministrator is true'
    context.addIssue({ code: 'custom', path: ['passwordFile'], message })
  })

const connection = z.strictObject({
  connectTimeoutMs: integer(
    100,
    300_000,
    10_000,
    'How long a new connection may take to send CONNECT.',
  ),
  keepAliveMaxSeconds: integer(
    0,
    TWO_BYTE_INTEGER_MAX,
    0,
    "Longest Keep Alive; a client that asks for more, or for none, gets this one (MQTT 5.0 clients are told); 0: the client's stands.",
  ),
  keepAliveMinSeconds: integer(
    0,
    TWO_BYTE_INTEGER_MAX,
    0,
    'Shortest Keep Alive; a client that asks for a shorter one gets this (MQTT 5.0 clients are told).',
  ),
  maximumPacketSizeBytes: integer(
    32,
    268_435_460,
    2 * MiB,
    'Largest packet accepted from a client.',
  ),
  receiveMaximum: integer(
    1,
    TWO_BYTE_INTEGER_MAX,
    1024,
    'How many QoS 1 and 2 messages an MQTT 5.0 client may have under way to the broker.',
  ),
  maximumQos: z
    .literal([0, 1, 2])
    .default(2)
    .describe('Highest QoS at which clients may publish; subscriptions are granted at most this.'),
  retainAvailable: toggle(true, 'Whether clients may publish retained messages.'),
  topicAliasMaximum: integer(
    0,
    TWO_BYTE_INTEGER_MAX,
    32,
    'How many Topic Aliases a client may use towards the broker; 0: none.',
  ),
  topicAliasMaximumOut: integer(
    0,
    TWO_BYTE_INTEGER_MAX,
    32,
    'How many Topic Aliases the broker uses towards a client that allows them; 0: none.',
  ),
  wildcardSubscriptions: toggle(true, 'Whether Topic Filters may contain + and #.'),
  subscriptionIdentifiers: toggle(true, 'Whether subscriptions may carry an identifier.'),
  sharedSubscriptions: toggle(true, 'Whether $share/NAME/FILTER subscriptions are available.'),
  sharedSubscriptionsV3: toggle(
    true,
    'Whether they are for MQTT 3.x clients too; if not, $share is an ordinary topic level to these.',
  ),
  topicLevelsMax: integer(
    1,
    TWO_BYTE_INTEGER_MAX,
    256,
    'How many levels a Topic Name or Topic Filter may have.',
  ),
  topicBytesMax: integer(
    1,
    TWO_BYTE_INTEGER_MAX,
    TWO_BYTE_INTEGER_MAX,
    'How long a Topic Name or Topic Filter may be, in bytes of UTF-8.',
  ),
  responseInformation: optionalText(
    TEXT_LENGTH_MAX,
    'Topic prefix for responses, told to MQTT 5.0 clients that ask for Response Information.',
  ),
  serverReference: optionalText(
    TEXT_LENGTH_MAX,
    'Other broker that MQTT 5.0 clients are pointed to when this one is full or shuts down.',
  ),
  connectionsMax: integer(
    0,
    COUNT_MAX,
    0,
    'How many clients may be connected at once; 0: as many as the system allows.',
  ),
  outBufferBytesMax: integer(
    1024,
    BYTES_MAX,
    MiB,
    'How much may wait in memory for a client whose network does not keep up.',
  ),
  assignClientIdentifiers: toggle(
    true,
    'Whether clients may leave the Client Identifier empty and get one from the broker.',
  ),
  // A server must take 23 bytes [MQTT-3.1.3-5].
  clientIdentifierBytesMax: integer(
    23,
    TWO_BYTE_INTEGER_MAX,
    TWO_BYTE_INTEGER_MAX,
    'How long a Client Identifier may be, in bytes of UTF-8.',
  ),
})

const session = z.strictObject({
  expiryMaxSeconds: integer(
    0,
    SESSION_NEVER_EXPIRES,
    SESSION_NEVER_EXPIRES,
    `Longest time a session is kept after its client left; ${SESSION_NEVER_EXPIRES}: for ever.`,
  ),
  subscriptionsMax: integer(1, COUNT_MAX, 10_000, 'How many subscriptions a session may have.'),
  queueMessagesMax: integer(
    1,
    COUNT_MAX,
    10_000,
    'How many QoS 1 and 2 messages wait for a client that is offline or slow.',
  ),
  queueBytesMax: integer(1, BYTES_MAX, 16 * MiB, 'How many bytes these messages may have.'),
  queuePolicy: choice(
    ['drop-oldest', 'drop-newest', 'disconnect'],
    'drop-oldest',
    'What happens when the queue is full: its oldest message goes, the new one goes, or the client is disconnected.',
  ),
  inflightMax: integer(
    1,
    TWO_BYTE_INTEGER_MAX,
    1024,
    'How many QoS 1 and 2 messages may be under way to a client that allows as many.',
  ),
  v3SessionExpirySeconds: integer(
    0,
    SESSION_NEVER_EXPIRES,
    SESSION_NEVER_EXPIRES,
    `How long the session of an MQTT 3.x client without Clean Session is kept after it left; ${SESSION_NEVER_EXPIRES}: for ever.`,
  ),
  willDelayMaxSeconds: integer(
    0,
    SESSION_NEVER_EXPIRES,
    SESSION_NEVER_EXPIRES,
    'Longest Will Delay; a client that asks for more gets this.',
  ),
  willRestartGraceSeconds: integer(
    0,
    86_400,
    30,
    'How long after a restart clients that were connected may take to come back before their wills are published.',
  ),
})

const shared = z.strictObject({
  strategy: choice(
    ['round-robin', 'random', 'sticky', 'hash-client', 'hash-topic', 'least-in-flight'],
    'round-robin',
    'Which member of a Shared Subscription gets the next message.',
  ),
})

const retained = z.strictObject({
  messagesMax: integer(0, COUNT_MAX, 1_000_000, 'How many retained messages are kept.'),
  bytesMax: integer(0, BYTES_MAX, GiB, 'How many bytes retained messages may have together.'),
  defaultExpirySeconds: integer(
    0,
    SESSION_NEVER_EXPIRES,
    0,
    'How long a retained message without Message Expiry Interval is kept; 0: for ever.',
  ),
})

const memory = z.strictObject({
  budgetBytes: integer(
    0,
    BYTES_MAX,
    0,
    "How much memory messages and buffers may take before the broker sheds load; 0: half of what the container, the machine or V8's heap allows, whichever is least.",
  ),
})

const store = z.strictObject({
  url: z
    .string()
    .max(TEXT_LENGTH_MAX)
    .refine(isKnownStore, STORES)
    .default('disk:./data')
    .meta({ expected: STORES })
    .describe(
      'Where sessions, queues and retained messages live. disk:DIRECTORY: an embedded store; redis://HOST:PORT/DB (rediss: with TLS), redis+sentinel://HOST,HOST/NAME, redis+cluster://HOST,HOST: a Redis; memory: nowhere else, they end with the process. A broker that a program creates has memory unless it says otherwise.',
    ),
  durability: z
    .enum(['volatile', 'process', 'disk', 'replicated'])
    .optional()
    .describe(
      'What an acknowledgement has to survive: nothing, the end of the process, a power cut, the loss of a machine. The broker does not start if the store gives less; unset: whatever the store gives. process makes disk: faster, as nothing waits for the disk.',
    ),
  allowWeaker: toggle(
    false,
    'Whether to start, with a warning, although the store gives less than `store.durability` asks for.',
  ),
  timeoutMs: integer(
    100,
    600_000,
    5000,
    'How long a client waits for the store: a CONNECT is refused then, and an MQTT 3.x publisher whose message cannot be kept is disconnected.',
  ),
  pendingUnitsMax: integer(
    1,
    COUNT_MAX,
    100_000,
    'How many messages may be on their way into the store before clients that publish are slowed.',
  ),
  pendingBytesMax: integer(1, BYTES_MAX, 64 * MiB, 'How many bytes these messages may have.'),
  keyPrefix: keyPrefix()
    .default('mq:')
    .describe(
      'What the names of all keys in Redis begin with: brokers with other prefixes may share it.',
    ),
  waitReplicas: integer(
    0,
    16,
    0,
    'How many replicas of Redis must have a message before it is acknowledged.',
  ),
  onEmpty: choice(
    ['continue', 'refuse'],
    'continue',
    'What happens when Redis comes back without what it kept: the broker writes back what it knows, or stops.',
  ),
})

const monitor = z.strictObject({
  sysIntervalSeconds: integer(
    0,
    86_400,
    10,
    'How often the numbers under $SYS are published; 0: never.',
  ),
  presence: toggle(true, 'Whether $SYS tells when clients connect and disconnect.'),
  nodeName: nameText()
    .default('noctule')
    .describe('Name of this broker in $SYS topics, logs and metrics.'),
  metrics: metrics.prefault({}).describe('Metrics for Prometheus, over HTTP, if a port is set.'),
})

const log = z.strictObject({
  level: choice(
    ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
    'info',
    'Least important lines that are logged.',
  ),
  format: choice(
    ['auto', 'pretty', 'json'],
    'auto',
    'How lines look; auto: pretty on a terminal, JSON otherwise.',
  ),
})

const shutdown = z.strictObject({
  drainTimeoutMs: integer(
    0,
    600_000,
    5000,
    'How long a stopping broker waits for what is under way to its clients.',
  ),
})

/** The whole configuration. Its output is `BrokerConfiguration` once listeners have their names. */
export const configurationSchema: z.ZodType = z.strictObject({
  listeners: listenersSchema,
  security: security.prefault({}).describe('Who may connect and do what.'),
  connection: connection.prefault({}).describe('What a client may do on its connection.'),
  session: session.prefault({}).describe('What is kept for a client, and for how long.'),
  shared: shared.prefault({}).describe('Shared Subscriptions.'),
  retained: retained.prefault({}).describe('Retained messages.'),
  limits: limits
    .prefault({})
    .describe('Limits of rate, and of clients that say nothing, in general.'),
  perClient: perClient.prefault({}).describe('What each client may, by its Client Identifier.'),
  perUser: perUser
    .prefault({})
    .describe(
      'What each user may, with all clients; clients without user name have no limit here.',
    ),
  perAddress: perAddress
    .prefault({})
    .describe('What each address may, with all clients; an IPv6 address counts as its /64.'),
  bans: bans.prefault({}).describe('Who may not connect for a while.'),
  overload: overload.prefault({}).describe('What happens when the broker has too much to do.'),
  memory: memory.prefault({}).describe('The bound over all that is kept in memory.'),
  store: store.prefault({}).describe('What survives a restart.'),
  monitor: monitor.prefault({}).describe('What the broker tells about itself.'),
  log: log.prefault({}).describe('The log, on the standard output.'),
  shutdown: shutdown.prefault({}).describe('How the broker ends.'),
})
