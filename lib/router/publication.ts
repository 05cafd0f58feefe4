/** A message on its way into the store, and who hears of it. */

import type { Buffer } from 'node:buffer'
import type { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import type { SessionRef, StoreError, Target, Unit } from '../storage/storage.ts'
import type { Share, Subscriber } from './subscriber.ts'

/** Hears how a durable publication went. */
export interface PublicationObserver {
  published(publication: Publication): void
  publicationFailed(publication: Publication, error: StoreError): void
}

export interface DurableTarget extends Target {
  readonly subscriber: Subscriber
  readonly group: Share | undefined
  isStored: boolean
}

/** A message on its way into the store, with everyone it will be delivered to. */
export class Publication implements Unit {
  readonly message: Message
  readonly topic: string
  readonly body: Buffer
  readonly expiresAt: number
  readonly qos: Qos
  readonly targets: DurableTarget[] = []
  retain: 'set' | 'clear' | undefined
  publisher: Unit['publisher']
  willOf: SessionRef | undefined
  /** Who is told; set by the publisher's connection in the turn of `route`. */
  observer: PublicationObserver | undefined
  /** Whatever the observer needs to recognise the publication. */
  handle: unknown

  constructor(message: Message) {
    this.message = message
    this.topic = message.topic
    this.body = message.body()
    this.expiresAt = message.expiresAt
    this.qos = message.qos
  }
}

/** Calls `act` when a publication is durable, or at once where nothing has to be. */
export function whenDurable(publication: Publication | undefined, act: () => void): void {
  if (publication === undefined) act()
  else publication.observer = { published: act, publicationFailed() {} }
}
