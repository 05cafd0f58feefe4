/** A Subscription as the Session keeps it (section 3.8.3.1). */

import type { Qos } from './packets.ts'

export interface Subscription {
  /** The Topic Filter as the client wrote it, `$share/…` included: the key of UNSUBSCRIBE. */
  readonly topicFilter: string
  /** The highest QoS the client wants and we granted. */
  readonly qos: Qos
  /** Messages of this very client do not come back. */
  readonly noLocal: boolean
  /** The RETAIN flag of a live message is forwarded as it came. */
  readonly retainAsPublished: boolean
  /** 0: none. Else 1 to 268,435,455, returned with every message it causes. */
  readonly subscriptionIdentifier: number
  /** The client knows no shared subscriptions: `$share` is a topic level like any other. */
  readonly isPlain?: true
  /** Not all of the retained messages that it was promised have been sent. */
  readonly owesRetained?: true
}
