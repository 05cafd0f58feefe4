/** `noctule sub`: subscribes and shows messages until it has enough of them. */

import type { IConnackPacket, IPublishPacket, MqttClient } from 'mqtt'
import type { CommandModule } from 'yargs'
import { matchesTopic } from '../protocol/topics.ts'
import { ClientConnection } from './client-connection.ts'
import { type ConnectRequest, readConnectRequest } from './connect-request.ts'
import { Ending, onStopSignal } from './ending.ts'
import { ExitCode } from './exit-codes.ts'
import { CommandFailure } from './failures.ts'
import type { MessageFormat } from './message-format.ts'
import { chooseFormat, screenOf } from './message-output.ts'
import { MessageWriter } from './message-writer.ts'
import { receive } from './received-message.ts'
import { createReport, type Report } from './report.ts'
import { runClient } from './run-client.ts'
import { type SubscribeFlags, subscribeOptions } from './subscribe-options.ts'
import {
  describeRefusal,
  readSubscriptionRequest,
  type SubscriptionRequest,
} from './subscription-request.ts'

export const subscribeCommand: CommandModule<object, SubscribeFlags> = {
  command: ['sub', 'subscribe'],
  describe: 'Subscribe and show messages, as mosquitto_sub does',
  builder: (yargs) =>
    yargs
      .usage('noctule sub -t FILTER [-t FILTER …] [flags]')
      .options(subscribeOptions)
      .example("noctule sub -t 'hello/#' -v", 'all below hello, with their topics')
      .example('noctule sub -t state -C 1 -W 5', 'one message, or exit code 27 after 5 seconds')
      .example("noctule sub -t '#' --json | jq .topic", 'for programs')
      .example("noctule sub -t '#' -F '%I %t %q %p'", "mosquitto_sub's formats")
      .example('noctule sub -t jobs -q 1 -c -i worker', 'a session that waits for us')
      .epilogue(
        'Exit codes: 0 enough messages (-C, -E, --retained-only), stopped, or nobody reads the output, ' +
          '1 the broker refused, or the connection failed, 2 mistakes in the command line, ' +
          '27 the time of -W is up.',
      ),
  handler: (flags) => runClient(flags, () => subscribe(flags)),
}

async function subscribe(flags: SubscribeFlags): Promise<number> {
  const connect = readConnectRequest(flags, 'sub')
  const request = readSubscriptionRequest(flags, connect)
  const format = chooseFormat(flags, screenOf(process.stdout, process.env))
  return new Listening(flags, connect, request, format).run()
}

/** One run of `sub`, from the connection to the last message. */
class Listening {
  readonly #flags: SubscribeFlags
  readonly #connect: ConnectRequest
  readonly #request: SubscriptionRequest
  readonly #format: MessageFormat
  readonly #report: Report
  readonly #ending = new Ending()
  readonly #writer: MessageWriter
  #shown = 0
  #hasSubscribed = false
  /** Whether the message that made us end waits for its acknowledgement. */
  #isLast = false
  #beat: NodeJS.Timeout | undefined

  constructor(
    flags: SubscribeFlags,
    connect: ConnectRequest,
    request: SubscriptionRequest,
    format: MessageFormat,
  ) {
    this.#flags = flags
    this.#connect = connect
    this.#request = request
    this.#format = format
    this.#report = createReport(flags)
    this.#writer = new MessageWriter(
      process.stdout,
      () => this.#ending.end(ExitCode.Success),
      (error) => this.#ending.fail(new CommandFailure(`Cannot write messages: ${error.message}`)),
    )
  }

  async run(): Promise<number> {
    const { timeout, noReconnect } = this.#flags
    let isStopped = false
    const offSignals = onStopSignal(() => {
      isStopped = true
      this.#ending.end(ExitCode.Success)
    })
    const events = {
      connected: (connack: IConnackPacket) => this.#subscribe(connection, connack),
      lost: (failure: CommandFailure) => this.#ending.fail(failure),
    }
    const connection = await ClientConnection.open(
      this.#connect,
      !noReconnect,
      events,
      this.#report,
    )
    this.#listen(connection)
    const timer = timeout === undefined ? undefined : this.#startTimer(timeout)
    try {
      return await this.#ending.wait()
    } finally {
      clearTimeout(timer)
      await connection.abandon()
      clearInterval(this.#beat)
      offSignals()
      // Output that nobody reads keeps a process alive; who sends a signal does not want the rest.
      if (isStopped && this.#writer.isFull) process.exit(ExitCode.Success)
    }
  }

  #startTimer(timeoutSeconds: number): NodeJS.Timeout {
    return setTimeout(() => this.#ending.end(ExitCode.TimedOut), timeoutSeconds * 1000)
  }

  /** At each connection, unless the broker still has our session with its subscriptions. */
  #subscribe({ client }: ClientConnection, { sessionPresent }: IConnackPacket): void {
    if (this.#hasSubscribed && sessionPresent) return
    const { topicFilters, options } = this.#request
    client.subscribe([...topicFilters], options, (error, _, suback) => {
      if (this.#ending.isSettled) return
      const refusal = suback === undefined ? undefined : describeRefusal(topicFilters, suback)
      if (refusal !== undefined) this.#ending.fail(new CommandFailure(refusal))
      // Without a SUBACK the connection was lost, and that is told where it happens.
      if (error || suback === undefined) return
      this.#hasSubscribed = true
      for (const [index, topicFilter] of topicFilters.entries()) {
        this.#report.debug(`Subscribed to ${topicFilter} (QoS ${Number(suback.granted[index])})`)
      }
      if (this.#flags.exitAfterSubscribing) this.#ending.end(ExitCode.Success)
    })
  }

  #listen({ client }: ClientConnection): void {
    client.on('message', (topicName, payload, packet) => this.#show(topicName, payload, packet))
    client.handleMessage = (_, done) => {
      // Not acknowledged: what came after the end belongs to the next run of the same session.
      if (this.#ending.isSettled && !this.#isLast) return done(new Error('no longer wanted'))
      this.#isLast = false
      if (this.#writer.isFull) this.#pause(client, done)
      else done()
    }
  }

  /** Nothing is read from the broker until our output is read; meanwhile it must see that we live. */
  #pause(client: MqttClient, done: () => void): void {
    const ping = () => {
      client.sendPing()
      client.reschedulePing(true)
    }
    if (client.keepalive > 0) this.#beat = setInterval(ping, client.keepalive * 500)
    this.#writer.whenRoom(() => {
      clearInterval(this.#beat)
      done()
    })
  }

  #show(topicName: string, payload: Buffer, packet: IPublishPacket): void {
    const { filterOut = [], skipRetained, retainedOnly, count } = this.#flags
    if (this.#ending.isSettled) return
    if (retainedOnly && !packet.retain) {
      this.#ending.end(ExitCode.Success)
      return
    }
    if (skipRetained && packet.retain) return
    if (filterOut.some((topicFilter) => matchesTopic(topicFilter, topicName))) return
    const shown = this.#format(receive(topicName, payload, packet))
    if (shown === undefined) this.#report.warn(`The payload on "${topicName}" is not JSON`)
    else this.#writer.write(shown)
    this.#shown += 1
    if (this.#shown !== count) return
    this.#isLast = true
    this.#ending.end(ExitCode.Success)
  }
}
