/**
 * What a client was granted for itself alone (`Grant.acl`), by a token, a service or the host program: these
 * rules decide about it, and no others.
 */

import type { AccessHooks, ClientInfo } from './access.ts'
import { ClientAccess } from './access-list.ts'
import { parseOwnRules } from './acl/own-format.ts'
import { ClientRules, type Rule } from './acl/rules.ts'
import { FileProblem } from './file-problem.ts'

/** Kept for every client that is connected. */
const CLIENT_RULES_MAX: number = 256

const NAME = "the client's own acl"
const HINT = 'who lets this client in says what it may: a token, the service, or the host program'

type Question = 'authorizePublish' | 'authorizeSubscribe' | 'authorizeReceive'

/** What is known of each client goes with its connection. */
const known = new WeakMap<ClientInfo, ClientAccess>()

/**
 * Puts `client.acl` in force for that very object. Throws an `Error` that says what is wrong with it:
 * then nothing of it may be used.
 */
export function bindClientAcl(client: ClientInfo): void {
  const { acl } = client
  if (acl === undefined) return
  known.set(
    client,
    new ClientAccess(new ClientRules(NAME, parseClientAcl(acl), client, 'refuse', HINT)),
  )
}

/** From what came from outside to rules. Throws an `Error` for what is not a `ClientAcl`. */
export function parseClientAcl(value: unknown): Rule[] {
  const lines = linesOf(value)
  if (lines.length > CLIENT_RULES_MAX) {
    throw new Error(`it has ${lines.length} rules, at most ${CLIENT_RULES_MAX} are possible`)
  }
  const foreign = lines.find((line) => !/^(allow|deny)\s/.test(line))
  if (foreign !== undefined) throw new Error('a rule begins with allow or deny')
  try {
    return parseOwnRules(lines)
  } catch (error) {
    const { line, message } = error as FileProblem
    throw error instanceof FileProblem ? new Error(`rule ${line}: ${message}`) : error
  }
}

function linesOf(value: unknown): readonly string[] {
  if (isTexts(value)) return value
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error('neither {"publish": [FILTER], "subscribe": [FILTER]} nor a list of rules')
  }
  const { publish = [], subscribe = [], ...others } = value as Record<string, unknown>
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new Error('it has keys besides publish and subscribe')
  if (!isTexts(publish)) throw new Error('publish is not a list of Topic Filters')
  if (!isTexts(subscribe)) throw new Error('subscribe is not a list of Topic Filters')
  return [...publish.map(ruleOf('write')), ...subscribe.map(ruleOf('read'))]
}

function ruleOf(action: 'read' | 'write'): (filter: string) => string {
  return (filter) => `allow ${action} "${filter.replaceAll(/["\\]/g, '\\$&')}"`
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}

/** Answers for clients that have rules of their own, and knows nothing of others. */
const clientAcl: AccessHooks = {
  authorizePublish: (client, { topic, qos, retain }) =>
    known.get(client)?.mayPublish(topic, qos, retain),
  authorizeSubscribe: (client, { topicFilter, qos }) =>
    known.get(client)?.rules.maySubscribe(topicFilter, qos),
  authorizeReceive: (client, { topic, qos }) => known.get(client)?.mayReceive(topic, qos),
}

/** What stands between the host's hooks and the sources, for those questions that they answer. */
export function clientAclAmong(asked: readonly AccessHooks[]): AccessHooks {
  const isAnswered = (question: Question) => asked.some((one) => one[question] !== undefined)
  const own = Object.entries(clientAcl).filter(([question]) => isAnswered(question as Question))
  return Object.fromEntries(own)
}

/** Who is asked what `client` may publish: all who answer, or, if nobody does, the rules it has for itself. */
export function whoJudgesPublish(hooks: AccessHooks, client: ClientInfo): AccessHooks {
  return hooks.authorizePublish === undefined && client.acl !== undefined ? clientAcl : hooks
}

/** As `whoJudgesPublish`, of what `client` may subscribe to and receive. */
export function whoJudgesSubscribe(hooks: AccessHooks, client: ClientInfo): AccessHooks {
  return hooks.authorizeSubscribe === undefined && client.acl !== undefined ? clientAcl : hooks
}
