/**
 * Subscribes at QoS 2 and notes what comes, by the rules of a receiver: a QoS 2 message counts once however
 * often its PUBLISH is sent, and Packet Identifiers in use are remembered over connections.
 */

import { type Address, FaultClient, type Received } from './client.ts'
import { type Numbered, NumberedSet } from './numbered.ts'

export class Subscriber extends FaultClient {
  /** Topic → numbers in the order in which they came. */
  readonly got: Map<string, number[]> = new Map()
  readonly #seen = new NumberedSet()
  readonly #filters: readonly string[]
  /** QoS 2 messages whose PUBREL has not come. */
  readonly #unreleased = new Set<number>()
  #wake: () => void = () => {}
  #resolveSubscribed: () => void = () => {}
  /** Resolves when the first subscription is acknowledged. */
  readonly subscribed: Promise<void> = new Promise((resolve) => {
    this.#resolveSubscribed = resolve
  })

  constructor(address: Address, clientId: string, filters: readonly string[]) {
    super(address, clientId)
    this.#filters = filters
  }

  /** Whether a message has come. */
  has(message: Numbered): boolean {
    return this.#seen.has(message)
  }

  /** Resolves when everything that `isComplete` looks for is there. */
  async until(isComplete: (subscriber: Subscriber) => boolean): Promise<void> {
    while (!isComplete(this)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  protected connected(sessionPresent: boolean): void {
    if (sessionPresent) return
    this.#unreleased.clear()
    const subscriptions = this.#filters.map((topic) => ({ topic, qos: 2 }))
    this.send({ cmd: 'subscribe', messageId: 1, subscriptions })
  }

  protected received({ cmd, messageId, qos, topic, payload }: Received): void {
    if (cmd === 'suback') this.#resolveSubscribed()
    if (cmd === 'pubrel') {
      this.#unreleased.delete(messageId)
      this.send({ cmd: 'pubcomp', messageId })
    }
    if (cmd !== 'publish') return
    if (qos < 2 || !this.#unreleased.has(messageId)) this.#note(topic, Number(payload.toString()))
    if (qos === 2) this.#unreleased.add(messageId)
    if (qos > 0) this.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId })
  }

  #note(topic: string, number: number): void {
    const numbers = this.got.get(topic)
    if (numbers === undefined) this.got.set(topic, [number])
    else numbers.push(number)
    this.#seen.add({ topic, number })
    this.#wake()
  }
}

/** Connects once with a will, and is never seen again. */
export class WillClient extends FaultClient {
  readonly topic: string
  hasConnected = false

  constructor(address: Address, clientId: string, topic: string) {
    super(address, clientId)
    this.topic = topic
  }

  protected override get isClean(): boolean {
    return true
  }

  protected override get will(): Record<string, unknown> {
    return { topic: this.topic, payload: '1', qos: 2, retain: false }
  }

  protected connected(): void {
    this.hasConnected = true
  }

  protected received(): void {}
}
