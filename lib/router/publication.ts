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
  /** Those who are told after it. */
  #others: PublicationObserver[] | undefined
  /** Whatever the observer needs to recognise the publication. */
  handle: unknown
  /** Writes that are not durable yet: its own, and those to members that take a message over. */
  #missing = 1

  constructor(message: Message) {
    this.message = message
    this.topic = message.topic
    this.body = message.body()
    this.expiresAt = message.expiresAt
    this.qos = message.qos
  }

  /** A target is gone: `replacement`, undefined if nothing has to be durable, has to be safe as well. */
  awaitAlso(replacement: Publication | undefined): void {
    if (replacement === undefined) return
    this.#missing++
    replacement.tell({
      published: () => this.noteDurable(),
      publicationFailed: (_, error) => this.noteFailed(error),
    })
  }

  /** Tells one more observer, after those who are told already. */
  tell(another: PublicationObserver): void {
    if (this.observer === undefined) this.observer = another
    else (this.#others ??= []).push(another)
  }

  /** One of the writes is durable; with the last the observers hear of it. */
  noteDurable(): void {
    if (--this.#missing > 0) return
    this.observer?.published(this)
    for (const other of this.#others ?? []) other.published(this)
  }

  noteFailed(error: StoreError): void {
    this.observer?.publicationFailed(this, error)
    for (const other of this.#others ?? []) other.publicationFailed(this, error)
  }
}

/** Calls `act` when a publication is durable, or at once where nothing has to be. */
export function whenDurable(publication: Publication | undefined, act: () => void): void {
  if (publication === undefined) act()
  else publication.tell({ published: act, publicationFailed() {} })
}
