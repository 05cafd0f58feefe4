/** Sends the payloads of a source over a connection and waits for their acknowledgements. */

import type { IClientPublishOptions, IConnackPacket, MqttClient, Packet } from 'mqtt'
import { RECEIVE_MAXIMUM_DEFAULT } from '../protocol/limits.ts'
import { describeReasonCode, ReasonCode } from '../protocol/reason-codes.ts'
import { quoteReason } from './connection-sentences.ts'
import { CommandFailure } from './failures.ts'
import type { Report } from './report.ts'
import { SendWindow } from './send-window.ts'

/** What all messages of one command have in common. */
export interface MessageTemplate {
  readonly topicName: string
  readonly options: IClientPublishOptions
}

/** Throws when the broker has announced that it does not take such messages. */
export function checkAgainstBroker({ options }: MessageTemplate, connack: IConnackPacket): void {
  const { maximumQoS, retainAvailable } = connack.properties ?? {}
  if (maximumQoS !== undefined && (options.qos ?? 0) > maximumQoS) {
    throw new CommandFailure(
      `The broker takes messages up to QoS ${maximumQoS}, not QoS ${options.qos}`,
    )
  }
  if (retainAvailable === false && options.retain) {
    throw new CommandFailure('The broker takes no retained messages: leave -r out')
  }
}

export class MessageSender {
  readonly #client: MqttClient
  readonly #template: MessageTemplate
  readonly #report: Report
  readonly #window: SendWindow
  readonly #packetSizeMax: number

  constructor(
    client: MqttClient,
    template: MessageTemplate,
    connack: IConnackPacket,
    report: Report,
  ) {
    this.#client = client
    this.#template = template
    this.#report = report
    const { receiveMaximum, maximumPacketSize } = connack.properties ?? {}
    this.#window = new SendWindow(receiveMaximum ?? RECEIVE_MAXIMUM_DEFAULT)
    this.#packetSizeMax = maximumPacketSize ?? Number.POSITIVE_INFINITY
  }

  /** Messages that the broker has not acknowledged yet. */
  get unacknowledged(): number {
    return this.#window.messages
  }

  /** Resolves when the broker has acknowledged all; rejects at the first one it refuses. */
  async sendAll(payloads: AsyncIterable<Buffer>): Promise<void> {
    for await (const payload of payloads) {
      this.#checkSize(payload)
      await this.#window.acquire(payload.length)
      this.#send(payload)
    }
    await this.#window.drained()
  }

  /** The connection is gone: nothing more will be acknowledged. */
  fail(failure: unknown): void {
    this.#window.fail(failure)
  }

  #send(payload: Buffer): void {
    const { topicName, options } = this.#template
    this.#report.debug(`Publishing ${payload.length} bytes to ${topicName} (QoS ${options.qos})`)
    this.#client.publish(topicName, payload, options, (error, packet) => {
      if (error) {
        this.#window.fail(this.#explain(error, packet))
        return
      }
      if (options.qos !== 0) this.#report.debug(`Acknowledged${this.#remark(packet)}`)
      this.#window.release(payload.length)
    })
  }

  #remark(packet: Packet | undefined): string {
    const hasNone =
      packet !== undefined &&
      'reasonCode' in packet &&
      packet.reasonCode === ReasonCode.NoMatchingSubscribers
    return hasNone ? ': no matching subscribers' : ''
  }

  #explain(error: Error & { code?: unknown }, packet: Packet | undefined): CommandFailure {
    const { topicName } = this.#template
    if (typeof error.code !== 'number') {
      return new CommandFailure(`Cannot publish to "${topicName}": ${error.message}`)
    }
    const { reasonString } = (packet as { properties?: { reasonString?: string } }).properties ?? {}
    const why = `${describeReasonCode(error.code)}${quoteReason(reasonString)}`
    return new CommandFailure(`The broker refused the message to "${topicName}": ${why}`)
  }

  /** Without the properties, which the broker counts too: it has the last word. */
  #checkSize(payload: Buffer): void {
    const bytes = payload.length + Buffer.byteLength(this.#template.topicName)
    if (bytes <= this.#packetSizeMax) return
    throw new CommandFailure(
      `The message of ${payload.length} bytes is too large: the broker takes ${this.#packetSizeMax} bytes at most`,
    )
  }
}
