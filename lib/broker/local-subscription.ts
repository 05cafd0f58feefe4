/** A subscription of the host program: messages come as calls, at once, at whatever QoS they were sent. */

import type { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Router } from '../router/router.ts'
import type { Subscriber } from '../router/subscriber.ts'
import { type ApplicationMessage, toApplicationMessage } from './application-message.ts'

export type MessageHandler = (message: ApplicationMessage) => void

export class LocalSubscription implements Subscriber, Disposable {
  readonly clientIdentifier = ''
  readonly durable = undefined
  readonly isOnline = true
  readonly inFlightCount = 0
  readonly topicFilter: string
  readonly #router: Router
  readonly #handler: MessageHandler
  readonly #failed: (error: unknown) => void

  constructor(
    router: Router,
    topicFilter: string,
    handler: MessageHandler,
    failed: (error: unknown) => void,
  ) {
    this.#router = router
    this.topicFilter = topicFilter
    this.#handler = handler
    this.#failed = failed
    router.subscribe(this, {
      topicFilter,
      qos: 2,
      noLocal: false,
      retainAsPublished: true,
      subscriptionIdentifier: 0,
    })
  }

  deliver(message: Message, _qos: Qos, retain: boolean): void {
    try {
      this.#handler({ ...toApplicationMessage(message), retain })
    } catch (error) {
      this.#failed(error)
    }
  }

  admits(): boolean {
    return true
  }

  deliverStored(): void {}

  giveAway(): () => void {
    return () => {}
  }

  /** Ends the subscription. */
  unsubscribe(): void {
    this.#router.unsubscribe(this, this.topicFilter)
  }

  [Symbol.dispose](): void {
    this.unsubscribe()
  }
}
