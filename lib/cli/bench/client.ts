/**
 * A client of a broker: its connection, and what is asked and answered once. What follows each other fast is left
 * to subclasses: PUBLISH and its acknowledgements.
 */

import type { Qos } from '../../protocol/packets.ts'
import { describeReasonCode } from '../../protocol/reason-codes.ts'
import { cannotConnect, connectionRefused } from '../connection-sentences.ts'
import { CommandFailure } from '../failures.ts'
import { type Link, openLink } from './link.ts'
import type { Load, Target } from './load.ts'
import {
  connectPacket,
  disconnectPacket,
  PacketType,
  pingPacket,
  subscribePacket,
  unsubscribePacket,
} from './packets.ts'
import { stampNow } from './payload.ts'
import type { Turn, Writer } from './turn.ts'
import { type Chunk, chunkOf, type PacketTaker, walkPackets } from './walk-packets.ts'

/** What all clients of a run have in common. */
export interface Surroundings {
  readonly load: Load
  readonly target: Target
  readonly turn: Turn
  /** What Client Identifiers of this run begin with. */
  readonly idPrefix: string
  /** When what is being read arrived, as `stampNow` says it. */
  arrivedAt: number
  /** Ends the run. */
  fail(failure: Error): void
}

export interface ConnectOptions {
  readonly isDurable?: boolean
  readonly hasTopicAliases?: boolean
  readonly localAddress?: string | undefined
}

/** Filters of one SUBSCRIBE, so that no packet gets too large for anybody. */
const FILTERS_PER_PACKET = 100

/** A refused subscription, and from here on all that is a refusal in an acknowledgement. */
const REFUSED = 0x80

const SHUT_TIMEOUT_MS = 2_000

/** A broker may have much to do before it comes to our question. */
const ANSWER_TIMEOUT_MS = 20_000

interface Question {
  readonly type: number
  /** Gets what follows the Remaining Length. */
  readonly resolve: (body: Buffer) => void
  readonly reject: (failure: Error) => void
}

export class Client implements PacketTaker, Writer {
  isDue = false
  protected readonly around: Surroundings
  protected link: Link | undefined
  /** For people: `subscriber 3`. */
  readonly #name: string
  #state: 'closed' | 'open' | 'closing' = 'closed'
  /** The beginning of a packet whose end has not come. */
  #begun: Buffer | undefined
  #question: Question | undefined
  #whenClosed: () => void = () => {}
  #packetId = 0

  constructor(around: Surroundings, name: string) {
    this.around = around
    this.#name = name
  }

  /** Resolves with the body of CONNACK; rejects with a sentence when the broker does not want us. */
  async connect(options: ConnectOptions = {}): Promise<Buffer> {
    const { load, target, idPrefix } = this.around
    const { isDurable = false, hasTopicAliases = false, localAddress } = options
    const identity = {
      clientId: `${idPrefix}-${this.#name.replace(' ', '-')}`,
      protocolVersion: load.protocolVersion,
      username: target.username,
      password: target.password,
    }
    this.#begun = undefined
    this.#state = 'open'
    const connack = this.#await(PacketType.Connack)
    const link = openLink(
      target,
      {
        opened: () => void link.write(connectPacket(identity, isDurable, hasTopicAliases)),
        received: (chunk, length) => this.#receive(chunk, length),
        closed: (error) => this.#handleClosed(error),
      },
      localAddress,
    )
    this.link = link
    const body = await connack
    const code = body[1] as number
    if (code !== 0) {
      const { protocolVersion } = load
      const { username } = target
      const refusal = {
        cmd: 'connack',
        returnCode: code,
        reasonCode: code,
        sessionPresent: false,
      } as const
      throw new CommandFailure(
        connectionRefused(
          { ...addressOf(target), options: { protocolVersion, username } },
          refusal,
        ),
      )
    }
    return body
  }

  /** Resolves when the broker has granted all of them at this QoS; rejects with a sentence else. */
  async subscribe(filters: readonly string[], qos: Qos): Promise<void> {
    for (let i = 0; i < filters.length; i += FILTERS_PER_PACKET) {
      const some = filters.slice(i, i + FILTERS_PER_PACKET)
      const packet = subscribePacket(
        this.around.load.protocolVersion,
        this.#nextPacketId(),
        some,
        qos,
      )
      const body = await this.#ask(packet, PacketType.Suback)
      // The codes stand at its end in all versions.
      const codes = body.subarray(body.length - some.length)
      const refused = codes.findIndex((code) => code !== qos)
      if (refused === -1) continue
      const code = codes[refused] as number
      const answer = code < REFUSED ? `granted QoS ${code}` : describeReasonCode(code)
      throw new CommandFailure(
        `The broker did not grant "${some[refused]}" at QoS ${qos}: ${answer}`,
      )
    }
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    const { protocolVersion } = this.around.load
    const packet = unsubscribePacket(protocolVersion, this.#nextPacketId(), filters)
    await this.#ask(packet, PacketType.Unsuback)
  }

  /** Resolves when all that the broker had for us before has come. */
  async ping(): Promise<void> {
    await this.#ask(pingPacket, PacketType.Pingresp)
  }

  /** Writes packets that need no answer, or whose answer a subclass takes. */
  send(bytes: Buffer): void {
    this.link?.write(bytes)
  }

  /** Reads nothing more. */
  fallSilent(): void {
    this.link?.stopReading()
  }

  /** Says goodbye; resolves when the broker has hung up, or a moment later if it does not. */
  async disconnect(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.link?.destroy(), SHUT_TIMEOUT_MS)
      this.#whenClosed = () => {
        clearTimeout(timer)
        resolve()
      }
      this.link?.write(disconnectPacket)
      this.link?.end()
    })
  }

  /** Ends the connection without a word. */
  abandon(): void {
    this.#state = 'closing'
    this.link?.destroy()
  }

  takePacket(first: number, { bytes }: Chunk, start: number, end: number): void {
    const type = first & 0xf0
    if (type === PacketType.Disconnect) {
      const code = end > start ? (bytes[start] as number) : 0
      this.#fail(`The broker closed the connection of ${this.#name}: ${describeReasonCode(code)}`)
      return
    }
    const question = this.#question
    if (question?.type !== type) {
      this.#fail(`The broker sent ${this.#name} a packet that nobody asked for: type ${type >> 4}`)
      return
    }
    this.#question = undefined
    question.resolve(Buffer.from(bytes.subarray(start, end)))
  }

  flush(): void {}

  /** Ends the run because of what the broker sent; `what` goes on after "The broker ". */
  protected complain(what: string): void {
    this.#fail(`The broker ${what} (${this.#name})`)
  }

  #receive(chunk: Chunk, length: number): void {
    this.around.arrivedAt = stampNow()
    let whole = chunk
    let wholeLength = length
    if (this.#begun !== undefined) {
      whole = chunkOf(Buffer.concat([this.#begun, chunk.bytes.subarray(0, length)]))
      wholeLength = whole.bytes.length
      this.#begun = undefined
    }
    try {
      const at = walkPackets(whole, wholeLength, this)
      if (at < wholeLength) this.#begun = Buffer.from(whole.bytes.subarray(at, wholeLength))
    } catch (error) {
      // Where a number had to stand, the packet ended.
      if (!(error instanceof RangeError)) throw error
      this.complain(`sent what is no MQTT: ${error.message}`)
    }
  }

  async #ask(packet: Buffer, type: number): Promise<Buffer> {
    const answer = this.#await(type)
    this.link?.write(packet)
    return answer
  }

  async #await(type: number): Promise<Buffer> {
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<Buffer>((resolve, reject) => {
        this.#question = { type, resolve, reject }
        const waited = `did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`
        timer = setTimeout(() => this.complain(waited), ANSWER_TIMEOUT_MS)
      })
    } finally {
      clearTimeout(timer)
    }
  }

  #handleClosed(error: Error | undefined): void {
    const wasWanted = this.#state === 'closing'
    this.#state = 'closed'
    this.#whenClosed()
    if (wasWanted) return
    const isConnecting = this.#question?.type === PacketType.Connack
    const reason = isConnecting
      ? cannotConnect({ ...addressOf(this.around.target), options: {} }, error)
      : `The broker closed the connection of ${this.#name}${error ? `: ${error.message}` : ''}`
    this.#fail(reason)
  }

  #fail(sentence: string): void {
    const failure = new CommandFailure(sentence)
    const question = this.#question
    this.#question = undefined
    if (question === undefined) this.around.fail(failure)
    else question.reject(failure)
  }

  #nextPacketId(): number {
    this.#packetId = (this.#packetId % 0xffff) + 1
    return this.#packetId
  }
}

/** For people. */
export function addressOf({ protocol, host, port, path }: Target): {
  url: string
  isLocal: boolean
} {
  const shownHost = host.includes(':') ? `[${host}]` : host
  return {
    url: `${protocol}://${shownHost}:${port}${protocol.startsWith('ws') ? path : ''}`,
    isLocal: /^(127\.|::1$|localhost$)/.test(host),
  }
}
