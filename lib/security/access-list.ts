/**
 * Who may publish and subscribe to what, by an ACL file (`security.aclFile`) that is live. Answers at once;
 * what it has answered about a topic it knows again until the file changes.
 */

import type { SecurityConfiguration } from '../config/options.ts'
import type { Qos } from '../protocol/packets.ts'
import { forgetOldest } from '../util/oldest.ts'
import type {
  ClientInfo,
  Decision,
  PublishRequest,
  ReceiveRequest,
  SubscribeRequest,
} from './access.ts'
import { isMosquittoFile, parseAclFile } from './acl/parse.ts'
import { ClientRules, type PartlyReadable, type Rule } from './acl/rules.ts'

/** How many topics of a client are known again: devices publish to few. */
export const TOPICS_KNOWN_MAX: number = 64
/** Longer ones are judged each time, so that what is kept for a client stays small. */
const TOPIC_LENGTH_KNOWN_MAX: number = 256

export class AccessList {
  readonly #fileName: string
  readonly #wanted: SecurityConfiguration['aclPartlyReadable']
  #rules: readonly Rule[] = []
  #partlyReadable: PartlyReadable = 'refuse'
  /** What is known of each client goes with its connection, and with the rules. */
  #clients = new WeakMap<ClientInfo, ClientAccess>()

  /** `fileName` is what decisions name beside the line. */
  constructor(
    fileName: string,
    partlyReadable: SecurityConfiguration['aclPartlyReadable'] = 'auto',
  ) {
    this.#fileName = fileName
    this.#wanted = partlyReadable
  }

  /** Takes a file's text into force; throws a `FileProblem`, and then nothing has changed. */
  use(text: string): void {
    this.#rules = parseAclFile(text)
    this.#partlyReadable = partlyReadableOf(text, this.#wanted)
    this.#clients = new WeakMap()
  }

  authorizePublish(client: ClientInfo, { topic, qos, retain }: PublishRequest): Decision {
    return this.#of(client).mayPublish(topic, qos, retain)
  }

  authorizeSubscribe(client: ClientInfo, { topicFilter, qos }: SubscribeRequest): Decision {
    return this.#of(client).rules.maySubscribe(topicFilter, qos)
  }

  authorizeReceive(client: ClientInfo, { topic, qos }: ReceiveRequest): Decision {
    return this.#of(client).mayReceive(topic, qos)
  }

  #of(client: ClientInfo): ClientAccess {
    const known = this.#clients.get(client)
    if (known !== undefined) return known
    const access = new ClientAccess(
      new ClientRules(this.#fileName, this.#rules, client, this.#partlyReadable),
    )
    this.#clients.set(client, access)
    return access
  }
}

/** What `security.aclPartlyReadable` means for a file. */
export function partlyReadableOf(
  text: string,
  wanted: SecurityConfiguration['aclPartlyReadable'],
): PartlyReadable {
  if (wanted !== 'auto') return wanted
  return isMosquittoFile(text) ? 'filter' : 'refuse'
}

/** The rules of one client, and what they have said so far. */
export class ClientAccess {
  readonly rules: ClientRules
  readonly #published = new Map<string, Decision>()
  readonly #received = new Map<string, Decision>()

  constructor(rules: ClientRules) {
    this.rules = rules
  }

  mayPublish(topic: string, qos: Qos, retain: boolean): Decision {
    const { rules } = this
    const key = rules.hasConditions ? `${qos}${retain ? 'r' : ''} ${topic}` : topic
    const known = this.#published.get(key)
    if (known !== undefined) return known
    const decision = rules.mayPublish(topic, qos, retain)
    remember(this.#published, topic, key, decision)
    return decision
  }

  mayReceive(topic: string, qos: Qos): Decision {
    const key = `${qos} ${topic}`
    const known = this.#received.get(key)
    if (known !== undefined) return known
    const decision = this.rules.mayReceive(topic, qos)
    remember(this.#received, topic, key, decision)
    return decision
  }
}

function remember(
  known: Map<string, Decision>,
  topic: string,
  key: string,
  decision: Decision,
): void {
  if (topic.length > TOPIC_LENGTH_KNOWN_MAX) return
  known.set(key, decision)
  forgetOldest(known, TOPICS_KNOWN_MAX)
}
