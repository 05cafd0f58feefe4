/** The flags of `sub`. */

import type { Options } from 'yargs'
import { VARIABLE_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import { type ClientFlags, clientOptions, inGroup, qosValues } from './client-options.ts'
import { list, oneOf, seconds, text, toggle, wholeNumber } from './flag-values.ts'
import type { OutputFlags } from './message-output.ts'

export interface SubscribeFlags extends ClientFlags, OutputFlags {
  readonly topic?: readonly string[]
  readonly filterOut?: readonly string[]
  readonly count?: number
  readonly timeout?: number
  readonly exitAfterSubscribing?: boolean
  readonly skipRetained?: boolean
  readonly retainedOnly?: boolean
  readonly retainAsPublished?: boolean
  readonly retainHandling?: 0 | 1 | 2
  readonly noLocal?: boolean
  readonly noReconnect?: boolean
  readonly subscriptionIdentifier?: number
}

/** setTimeout takes no more. */
const TIMEOUT_SECONDS_MAX = 2_147_483

const subscription = {
  topic: list({ alias: 't', describe: 'Topic Filter to subscribe to; may be given several times' }),
  qos: oneOf('-q', qosValues, {
    alias: 'q',
    describe: 'Largest QoS of what we receive',
    defaultDescription: '0',
  }),
  'filter-out': list({ alias: 'T', describe: 'Do not show what matches this Topic Filter' }),
  'skip-retained': toggle({ alias: 'R', describe: 'Do not show retained messages' }),
  'retained-only': toggle({ describe: 'Show retained messages, end at the first other one' }),
}

const ending = {
  count: wholeNumber('-C', 1, Number.MAX_SAFE_INTEGER, {
    alias: 'C',
    describe: 'End after so many messages',
  }),
  timeout: seconds('-W', TIMEOUT_SECONDS_MAX, {
    alias: 'W',
    describe: 'End after so many seconds, with exit code 27',
  }),
  'exit-after-subscribing': toggle({
    alias: 'E',
    describe: 'End as soon as the broker has granted the subscriptions',
  }),
  'no-reconnect': toggle({ describe: 'End when the connection is lost' }),
}

const output = {
  verbose: toggle({ alias: 'v', describe: 'Show the topic before the payload' }),
  format: text('-F', {
    alias: 'F',
    describe:
      'Show messages in this form: %t topic, %p payload, %x hexadecimal, %q QoS, %r retained, …',
  }),
  json: toggle({ describe: 'Show each message as a line of JSON' }),
  hex: toggle({ describe: 'Show payloads as hexadecimal digits' }),
  'omit-newline': toggle({ alias: 'N', describe: 'No end of line after a message' }),
}

const version5 = {
  'retain-as-published': toggle({ describe: 'Keep the retain flag of the publisher' }),
  'retain-handling': oneOf(
    '--retain-handling',
    { always: 0, new: 1, never: 2 },
    {
      describe:
        'When to receive retained messages: always, new (not for a known subscription), never',
      defaultDescription: 'always',
    },
  ),
  'no-local': toggle({ describe: 'Nothing that this Client Identifier has published itself' }),
  'subscription-identifier': wholeNumber(
    '--subscription-identifier',
    1,
    VARIABLE_BYTE_INTEGER_MAX,
    {
      describe: 'Number that comes back with each message',
    },
  ),
}

export const subscribeOptions: Readonly<Record<string, Options>> = {
  ...inGroup('Subscription:', subscription),
  ...inGroup('Output:', output),
  ...inGroup('End:', ending),
  ...inGroup('Subscription options of MQTT 5:', version5),
  ...clientOptions,
}
