/** Messages that a broker routes, as its host program sees them. */

import type { ApplicationMessage, Broker } from '../../lib/index.ts'

export class Observed {
  readonly messages: ApplicationMessage[] = []
  #wake: () => void = () => {}

  constructor(broker: Broker, topicFilter = '#') {
    broker.subscribe(topicFilter, (message) => {
      this.messages.push(message)
      this.#wake()
    })
  }

  /** The payloads that have come, as text. */
  get payloads(): string[] {
    return this.messages.map(({ payload }) => payload.toString())
  }

  /** Waits for the next message and takes it out. */
  async next(): Promise<ApplicationMessage> {
    for (;;) {
      const message = this.messages.shift()
      if (message !== undefined) return message
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
