/**
 * Publishes numbered messages on one topic at one QoS, some at a time, and sends again what is not
 * acknowledged whenever it has to connect again.
 */

import { type Address, FaultClient, type Received } from './client.ts'

const IDENTIFIERS = 65_535

/** What is under way: a PUBLISH, or the PUBREL that follows it. */
type Step = 'publish' | 'pubrel'

export class Publisher extends FaultClient {
  readonly topic: string
  readonly qos: 1 | 2
  /** Messages sent so far, numbered from 1. */
  sent = 0
  /** Messages that the broker has taken over: PUBACK or PUBREC came. */
  readonly acknowledged: Set<number> = new Set()
  readonly #isRetained: boolean
  readonly #window: number
  readonly #most: number
  readonly #underWay = new Map<number, Step>()
  #isPaused = false
  #wake: () => void = () => {}

  constructor(
    address: Address,
    clientId: string,
    options: { topic: string; qos: 1 | 2; window: number; isRetained?: boolean; most?: number },
  ) {
    super(address, clientId)
    this.topic = options.topic
    this.qos = options.qos
    this.#window = options.window
    this.#isRetained = options.isRetained ?? false
    this.#most = options.most ?? Number.POSITIVE_INFINITY
  }

  /** Messages whose exchange is not over. */
  get underWay(): ReadonlyMap<number, Step> {
    return this.#underWay
  }

  /** Sends no new messages; resolves when all that was sent is acknowledged to the end. */
  async finish(): Promise<void> {
    this.#isPaused = true
    while (this.#underWay.size > 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Sends new messages again. */
  goOn(): void {
    this.#isPaused = false
    this.#fill()
  }

  protected connected(sessionPresent: boolean): void {
    // In the order of the first time [MQTT-4.4.0-1]; numbers are identifiers but for the wrap.
    for (const [number, step] of this.#underWay) {
      if (step === 'publish') this.#publish(number, true)
      else if (sessionPresent) this.send({ cmd: 'pubrel', messageId: identifierOf(number) })
      else this.#underWay.delete(number)
    }
    this.#fill()
  }

  protected received({ cmd, messageId }: Received): void {
    const number = this.#numberOf(messageId)
    if (number === undefined) return
    if (cmd === 'puback') this.#underWay.delete(number)
    if (cmd === 'puback' || cmd === 'pubrec') this.acknowledged.add(number)
    if (cmd === 'pubrec') {
      this.#underWay.set(number, 'pubrel')
      this.send({ cmd: 'pubrel', messageId })
    }
    if (cmd === 'pubcomp') this.#underWay.delete(number)
    if (this.#underWay.size === 0) this.#wake()
    this.#fill()
  }

  #numberOf(messageId: number): number | undefined {
    for (const number of this.#underWay.keys())
      if (identifierOf(number) === messageId) return number
    return undefined
  }

  #fill(): void {
    while (this.#isFree && this.#underWay.size < this.#window && this.sent < this.#most) {
      this.sent++
      this.#underWay.set(this.sent, 'publish')
      this.#publish(this.sent, false)
    }
  }

  get #isFree(): boolean {
    return this.isConnected && !this.#isPaused
  }

  #publish(number: number, dup: boolean): void {
    const { topic, qos } = this
    const messageId = identifierOf(number)
    this.send({
      cmd: 'publish',
      topic,
      payload: `${number}`,
      qos,
      dup,
      retain: this.#isRetained,
      messageId,
    })
  }
}

function identifierOf(number: number): number {
  return 1 + (number % IDENTIFIERS)
}
