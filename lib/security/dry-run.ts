/** Rules on trial (`security.aclDryRun`): what they would refuse is logged, and goes through. */

import type { LimitedLog } from '../util/limited-log.ts'
import type {
  Answer,
  ClientInfo,
  PublishRequest,
  ReceiveRequest,
  SubscribeRequest,
} from './access.ts'
import { toDecision } from './access.ts'
import type { AccessList } from './access-list.ts'

export class DryRun {
  isOn: boolean
  readonly #rules: AccessList
  readonly #log: LimitedLog

  constructor(rules: AccessList, isOn: boolean, log: LimitedLog) {
    this.#rules = rules
    this.isOn = isOn
    this.#log = log
  }

  authorizePublish(client: ClientInfo, request: PublishRequest): Answer {
    const answer = this.#rules.authorizePublish(client, request)
    return this.isOn ? this.#allow(client, 'PUBLISH', request.topic, answer) : answer
  }

  authorizeSubscribe(client: ClientInfo, request: SubscribeRequest): Answer {
    const answer = this.#rules.authorizeSubscribe(client, request)
    return this.isOn ? this.#allow(client, 'SUBSCRIBE', request.topicFilter, answer) : answer
  }

  authorizeReceive(client: ClientInfo, request: ReceiveRequest): boolean {
    const answer = this.#rules.authorizeReceive(client, request)
    if (this.isOn) this.#allow(client, 'PUBLISH to it', request.topic, answer)
    return this.isOn || answer.isAllowed
  }

  #allow(client: ClientInfo, packet: string, topic: string, answer: Answer): Answer {
    const { isAllowed, rule } = toDecision(answer)
    if (isAllowed) return answer
    const { clientIdentifier, userName: user, address, listener } = client
    const fields = { client: clientIdentifier, user, address, listener, packet, topic, rule }
    const hint = 'security.aclDryRun is on: nothing is refused'
    this.#log.warn(`dry run ${packet}`, { ...fields, hint }, 'would be refused')
    return true
  }
}
