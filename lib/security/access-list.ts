/**
 * Who may publish and subscribe to what, by an ACL file (`security.aclFile`) that is live. Answers at once;
 * what it has answered about a topic it knows again until the file changes.
 */

import type { Qos } from '../protocol/packets.ts'
import type { ClientInfo, Decision, PublishRequest, SubscribeRequest } from './access.ts'
import { parseAclFile } from './acl/parse.ts'
import { ClientRules, type Rule } from './acl/rules.ts'

/** How many topics of a client are known again: devices publish to few. */
export const TOPICS_KNOWN_MAX: number = 64
/** Longer ones are judged each time, so that what is kept for a client stays small. */
export const TOPIC_LENGTH_KNOWN_MAX: number = 256

export class AccessList {
  readonly #fileName: string
  #rules: readonly Rule[] = []
  /** What is known of each client goes with its connection, and with the rules. */
  #clients = new WeakMap<ClientInfo, ClientAccess>()

  /** `fileName` is what decisions name beside the line. */
  constructor(fileName: string) {
    this.#fileName = fileName
  }

  /** Takes a file's text into force; throws a `FileProblem`, and then nothing has changed. */
  use(text: string): void {
    this.#rules = parseAclFile(text)
    this.#clients = new WeakMap()
  }

  authorizePublish(client: ClientInfo, { topic, qos, retain }: PublishRequest): Decision {
    return this.#of(client).mayPublish(topic, qos, retain)
  }

  authorizeSubscribe(client: ClientInfo, { topicFilter, qos }: SubscribeRequest): Decision {
    return this.#of(client).rules.maySubscribe(topicFilter, qos)
  }

  #of(client: ClientInfo): ClientAccess {
    const known = this.#clients.get(client)
    if (known !== undefined) return known
    const access = new ClientAccess(new ClientRules(this.#fileName, this.#rules, client))
    this.#clients.set(client, access)
    return access
  }
}

/** The rules of one client, and what they have said so far. */
export class ClientAccess {
  readonly rules: ClientRules
  readonly #known = new Map<string, Decision>()

  constructor(rules: ClientRules) {
    this.rules = rules
  }

  mayPublish(topic: string, qos: Qos, retain: boolean): Decision {
    const { rules } = this
    const key = rules.hasConditions ? `${qos}${retain ? 'r' : ''} ${topic}` : topic
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const decision = rules.mayPublish(topic, qos, retain)
    if (topic.length <= TOPIC_LENGTH_KNOWN_MAX) this.#remember(key, decision)
    return decision
  }

  /** The one that came first makes room. */
  #remember(key: string, decision: Decision): void {
    if (this.#known.size >= TOPICS_KNOWN_MAX) {
      const [oldest = ''] = this.#known.keys()
      this.#known.delete(oldest)
    }
    this.#known.set(key, decision)
  }
}
