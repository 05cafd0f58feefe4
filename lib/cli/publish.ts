/** `noctule pub`: publishes messages, and exits with 0 only when the broker has acknowledged them. */

import type { IConnackPacket } from 'mqtt'
import type { CommandModule } from 'yargs'
import { isTopicName } from '../protocol/topics.ts'
import { ClientConnection } from './client-connection.ts'
import { type ConnectRequest, readConnectRequest } from './connect-request.ts'
import { Ending, onStopSignal } from './ending.ts'
import { ExitCode } from './exit-codes.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { addProperty, type ClientProperties, ruleOf } from './property-flags.ts'
import { checkAgainstBroker, MessageSender, type MessageTemplate } from './publish-messages.ts'
import { type PublishFlags, publishOptions } from './publish-options.ts'
import { chooseSource, type PayloadSource } from './publish-source.ts'
import { createReport, type Report } from './report.ts'
import { runClient } from './run-client.ts'

/** After a signal, the acknowledgements that are still missing are waited for this long. */
const STOP_TIMEOUT_MS = 2_000

export const publishCommand: CommandModule<object, PublishFlags> = {
  command: ['pub', 'publish'],
  describe: 'Publish messages, as mosquitto_pub does',
  builder: (yargs) =>
    yargs
      .usage('noctule pub -t TOPIC (-m TEXT | -f FILE | -s | -l | -n) [flags]')
      .options(publishOptions)
      .example(
        "noctule pub -t hello/world -m 'Hi there'",
        'one message to the broker on this machine',
      )
      .example('noctule pub -t state -m on -r -q 1', 'retained; waits for the acknowledgement')
      .example('tail -f log | noctule pub -t log -l', 'each line a message')
      .example('noctule pub -L mqtts://me:secret@example.org/door -m open', 'all in one URL')
      .example('noctule pub -t a -m b -D "publish content-type text/plain"', 'an MQTT 5 property')
      .epilogue(
        'Exit codes: 0 the broker acknowledged everything (at QoS 0: all was sent), 1 it refused, or the ' +
          'connection failed, 2 mistakes in the command line.',
      ),
  handler: (flags) => runClient(flags, () => publish(flags)),
}

async function publish(flags: PublishFlags): Promise<number> {
  const request = readConnectRequest(flags, 'pub')
  const template = readTemplate(flags, request)
  const source = chooseSource(flags, process.stdin)
  const publication = new Publication(request, template, source, createReport(flags))
  return publication.run()
}

/** One run of `pub`, from the connection to the last acknowledgement. */
class Publication {
  readonly #request: ConnectRequest
  readonly #template: MessageTemplate
  readonly #source: PayloadSource
  readonly #report: Report
  readonly #ending = new Ending()
  readonly #stop = new AbortController()
  #sender: MessageSender | undefined

  constructor(
    request: ConnectRequest,
    template: MessageTemplate,
    source: PayloadSource,
    report: Report,
  ) {
    this.#request = request
    this.#template = template
    this.#source = source
    this.#report = report
  }

  async run(): Promise<number> {
    const offSignals = onStopSignal(() => this.#stopEarly())
    const events = {
      connected: (connack: IConnackPacket) => void this.#send(connection, connack),
      lost: (failure: CommandFailure) => this.#fail(failure),
    }
    const connection = await ClientConnection.open(this.#request, false, events, this.#report)
    try {
      const exitCode = await this.#ending.wait()
      await connection.close()
      return exitCode
    } catch (failure) {
      await connection.abandon()
      throw failure
    } finally {
      this.#stop.abort()
      offSignals()
    }
  }

  async #send(connection: ClientConnection, connack: IConnackPacket): Promise<void> {
    try {
      checkAgainstBroker(this.#template, connack)
      this.#sender = new MessageSender(connection.client, this.#template, connack, this.#report)
      await this.#sender.sendAll(this.#source(this.#stop.signal))
      this.#ending.end(ExitCode.Success)
    } catch (failure) {
      this.#fail(failure)
    }
  }

  #fail(failure: unknown): void {
    this.#ending.fail(failure)
    this.#sender?.fail(failure)
    this.#stop.abort()
  }

  /** A signal: what was sent is still waited for, for a while. */
  #stopEarly(): void {
    this.#stop.abort()
    if (this.#sender === undefined) {
      this.#fail(new CommandFailure('Stopped before there was a connection'))
      return
    }
    const giveUp = () => {
      const count = this.#sender?.unacknowledged
      this.#fail(new CommandFailure(`Stopped; ${count} messages were not acknowledged`))
    }
    setTimeout(giveUp, STOP_TIMEOUT_MS).unref()
  }
}

function readTemplate(flags: PublishFlags, request: ConnectRequest): MessageTemplate {
  const topicName = flags.topic ?? request.topic
  if (topicName === undefined) throw new UsageError('Where to? Give a topic with -t')
  if (!isTopicName(topicName)) {
    const trouble = topicName === '' ? 'is empty' : 'has a wildcard, which only subscribers use'
    throw new UsageError(`The topic "${topicName}" ${trouble}`)
  }
  const properties = readProperties(flags, request.properties.publish)
  if ((flags.protocolVersion ?? 5) < 5 && Object.keys(properties).length > 0) {
    throw new UsageError('Messages have properties only in MQTT 5 (-V 5)')
  }
  return {
    topicName,
    options: { qos: flags.qos ?? 0, retain: flags.retain ?? false, properties },
  }
}

function readProperties(
  flags: PublishFlags,
  given: ClientProperties | undefined,
): ClientProperties {
  const properties = { ...given }
  const add = (name: Parameters<typeof ruleOf>[0], value: string | number | undefined) => {
    if (value !== undefined) addProperty(properties, ruleOf(name), [String(value)])
  }
  add('contentType', flags.contentType)
  add('responseTopic', flags.responseTopic)
  add('correlationData', flags.correlationData)
  add('messageExpiryInterval', flags.messageExpiry)
  add('payloadFormatIndicator', flags.payloadFormatUtf8 ? 1 : undefined)
  for (const pair of flags.userProperty ?? []) {
    const [, name, value] = /^([^=]*)=(.*)$/s.exec(pair) ?? []
    if (name === undefined) throw new UsageError(`--user-property is NAME=VALUE, not "${pair}"`)
    addProperty(properties, ruleOf('userProperties'), [name, value ?? ''])
  }
  const { responseTopic } = properties
  if (typeof responseTopic === 'string' && !isTopicName(responseTopic)) {
    throw new UsageError(`The response topic "${responseTopic}" is empty or has a wildcard`)
  }
  return properties
}
