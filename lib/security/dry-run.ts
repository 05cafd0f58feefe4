/** Rules on trial (`security.aclDryRun`): what they would refuse is logged, and goes through. */

import { isShared } from '../protocol/topics.ts'
import type { LimitedLog } from '../util/limited-log.ts'
import {
  type AccessHooks,
  type Answer,
  type ClientInfo,
  type Eventually,
  type PublishRequest,
  type ReceiveRequest,
  type SubscribeRequest,
  toDecision,
} from './access.ts'

type Rules = Required<
  Pick<AccessHooks, 'authorizePublish' | 'authorizeSubscribe' | 'authorizeReceive'>
>
type Asked = Eventually<Answer | undefined>

export class DryRun implements Rules {
  isOn: boolean
  readonly #rules: Rules
  readonly #log: LimitedLog

  constructor(rules: Rules, isOn: boolean, log: LimitedLog) {
    this.#rules = rules
    this.isOn = isOn
    this.#log = log
  }

  authorizePublish(client: ClientInfo, request: PublishRequest): Asked {
    const answer = this.#rules.authorizePublish(client, request)
    return this.isOn ? this.#allow(client, 'PUBLISH', request.topic, answer) : answer
  }

  authorizeSubscribe(client: ClientInfo, request: SubscribeRequest): Asked {
    const answer = this.#rules.authorizeSubscribe(client, request)
    return this.isOn ? this.#allow(client, 'SUBSCRIBE', request.topicFilter, answer) : answer
  }

  authorizeReceive(client: ClientInfo, request: ReceiveRequest): Answer | undefined {
    const answer = this.#rules.authorizeReceive(client, request)
    return this.isOn ? this.#allowNow(client, 'PUBLISH to it', request.topic, answer) : answer
  }

  #allow(client: ClientInfo, packet: string, topic: string, answer: Asked): Asked {
    if (answer instanceof Promise) {
      return answer.then((late) => this.#allowNow(client, packet, topic, late))
    }
    return this.#allowNow(client, packet, topic, answer)
  }

  #allowNow(
    client: ClientInfo,
    packet: string,
    topic: string,
    answer: Answer | undefined,
  ): Answer | undefined {
    if (answer === undefined) return undefined
    const { isAllowed, isFiltered, rule } = toDecision(answer)
    // Of a Shared Subscription a part is not granted.
    if (isAllowed && !(isFiltered === true && isShared(topic))) return answer
    const { clientIdentifier, userName: user, address, listener } = client
    const fields = { client: clientIdentifier, user, address, listener, packet, topic, rule }
    const hint = 'security.aclDryRun is on: nothing is refused'
    this.#log.warn(`dry run ${packet}`, { ...fields, hint }, 'would be refused')
    return true
  }
}
