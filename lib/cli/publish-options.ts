/** The flags of `pub`. */

import type { Options } from 'yargs'
import { type ClientFlags, clientOptions, inGroup, qosValues } from './client-options.ts'
import { list, oneOf, seconds, text, toggle, wholeNumber } from './flag-values.ts'
import type { SourceFlags } from './publish-source.ts'

export interface PublishFlags extends ClientFlags, SourceFlags {
  readonly topic?: string
  readonly retain?: boolean
  readonly contentType?: string
  readonly responseTopic?: string
  readonly correlationData?: string
  readonly messageExpiry?: number
  readonly userProperty?: readonly string[]
  readonly payloadFormatUtf8?: boolean
}

const REPEAT_MAX = 1_000_000_000
const REPEAT_DELAY_SECONDS_MAX = 86_400

const message = {
  topic: text('-t', { alias: 't', describe: 'Topic Name to publish to' }),
  message: text('-m', { alias: 'm', describe: 'Send this text' }),
  file: text('-f', { alias: 'f', describe: 'Send the content of this file' }),
  'stdin-file': toggle({ alias: 's', describe: 'Send standard input as one message' }),
  'stdin-line': toggle({ alias: 'l', describe: 'Send each line of standard input as a message' }),
  'null-message': toggle({
    alias: 'n',
    describe: 'Send an empty message; with -r it clears the retained one',
  }),
  qos: oneOf('-q', qosValues, {
    alias: 'q',
    describe: 'QoS: 0 at most once, 1 at least once, 2 exactly once',
    defaultDescription: '0',
  }),
  retain: toggle({ alias: 'r', describe: 'The broker keeps the message for later subscribers' }),
  repeat: wholeNumber('--repeat', 1, REPEAT_MAX, { describe: 'Send it so many times (not -l)' }),
  'repeat-delay': seconds('--repeat-delay', REPEAT_DELAY_SECONDS_MAX, {
    describe: 'Seconds between the repetitions',
    defaultDescription: '0',
  }),
}

const properties = {
  'content-type': text('--content-type', { describe: 'Content Type, such as application/json' }),
  'response-topic': text('--response-topic', { describe: 'Topic Name for an answer' }),
  'correlation-data': text('--correlation-data', { describe: 'What an answer shall repeat' }),
  'message-expiry': wholeNumber('--message-expiry', 0, 0xffff_ffff, {
    describe: 'Seconds after which the message is worth nothing',
  }),
  'user-property': list({ describe: 'NAME=VALUE; may be given several times' }),
  'payload-format-utf8': toggle({ describe: 'Say that the payload is UTF-8 text' }),
}

export const publishOptions: Readonly<Record<string, Options>> = {
  ...inGroup('Message:', message),
  ...inGroup('Properties of the message (MQTT 5):', properties),
  ...clientOptions,
}
