/** Hands messages that are alike to their receivers: whoever can takes them at once. */

import type { Message } from '../protocol/message.ts'
import type { MessageRun } from '../protocol/message-run.ts'
import type { Qos } from '../protocol/packets.ts'
import { lowerQos } from '../protocol/qos.ts'
import type { Receiver } from './receivers.ts'
import type { Subscriber } from './subscriber.ts'

/** Whether a receiver may get messages at once: the store has to confirm each of those it keeps. */
export function takesRuns({ subscriber, qos }: Receiver<Subscriber>, messageQos: Qos): boolean {
  const isStored = subscriber.durable !== undefined && lowerQos(messageQos, qos) > 0
  return subscriber.deliverRun !== undefined && !isStored
}

/** Returns how many got them. */
export function deliverRun(
  run: MessageRun,
  receivers: readonly Receiver<Subscriber>[],
  publisher: Subscriber,
): number {
  let count = 0
  const others: Receiver<Subscriber>[] = []
  for (const receiver of receivers) {
    const wanted = receiver.subscriber === publisher ? receiver.own : receiver // [MQTT-3.8.3-3]
    if (wanted === undefined) continue
    count++
    const qos = lowerQos(run.first.qos, wanted.qos) // [MQTT-3.8.4-8]
    if (wanted.subscriber.deliverRun?.(run, qos, wanted.identifiers) === false) others.push(wanted)
  }
  if (others.length > 0) for (const message of run.messages) deliverToEach(message, others)
  return count
}

/** All get one message before anybody gets the next, as it is encoded once for all that are alike. */
function deliverToEach(message: Message, receivers: readonly Receiver<Subscriber>[]): void {
  for (const { subscriber, qos, identifiers } of receivers) {
    // Who is offline keeps nothing of it, and may have ended with the message before.
    if (!subscriber.isOnline) continue
    subscriber.deliver(message, lowerQos(message.qos, qos), false, identifiers, undefined)
  }
}
