/** `security.http` as one that is asked: a service that says who may connect, and do what. */

import { isUtf8 } from 'node:buffer'
import { headerOf } from '../../config/access-schema.ts'
import type { SecurityConfiguration } from '../../config/options.ts'
import { ReasonCode } from '../../protocol/reason-codes.ts'
import {
  type AccessHooks,
  type Admission,
  type AuthenticateRequest,
  type ClientInfo,
  type Decision,
  denial,
  type Eventually,
} from '../access.ts'
import type { AccessSource, SourceParts } from '../access-sources.ts'
import { LiveFile } from '../live-file.ts'
import { AnswerCache } from './answer-cache.ts'
import { Endpoint, type Outcome } from './endpoint.ts'

/** How much of a reason stands in the log. */
const REASON_SHOWN_MAX = 256

const HINT = 'the service decides: ask whoever runs it'

/** Undefined if the configuration names no URL. */
export function httpSource(
  { http }: SecurityConfiguration,
  parts: SourceParts,
): AccessSource | undefined {
  const { clock, log, limitedLog, changes } = parts
  const headers = Object.fromEntries(http.headers.map((line) => headerOf(line) ?? []))
  const endpoint = (url: string | undefined): Endpoint[] =>
    url === undefined ? [] : [new Endpoint({ ...http, url, headers }, clock, log, limitedLog)]
  const [forClients] = endpoint(http.authenticateUrl)
  const [forTopics] = endpoint(http.authorizeUrl)
  const endpoints = [forClients, forTopics].filter((one) => one !== undefined)
  if (endpoints.length === 0) return undefined
  const cache = new AnswerCache(http, clock)
  const caFile =
    http.caFile === undefined
      ? undefined
      : new LiveFile({
          option: 'security.http.caFile',
          path: http.caFile,
          hint: 'It holds the certificates of authorities, PEM',
          use: (ca) => {
            for (const one of endpoints) one.trust(ca)
          },
          clock,
          log,
        })
  return {
    hooks: {
      ...(forClients !== undefined && { authenticate: authenticateBy(forClients) }),
      ...(forTopics !== undefined && authorizeBy(forTopics, cache)),
    },
    open: async () => caFile?.open(),
    async reload() {
      await caFile?.check()
      cache.clear()
      if (forTopics !== undefined) changes.rulesChanged()
    },
    async close() {
      caFile?.close()
      for (const one of endpoints) one.close()
    },
  }
}

function authenticateBy(endpoint: Endpoint): NonNullable<AccessHooks['authenticate']> {
  return async (request) => {
    const question = { action: 'connect', ...aboutClient(request), ...passwordIn(request) }
    return admissionFrom(endpoint, await endpoint.ask(question, request.address))
  }
}

function admissionFrom({ name }: Endpoint, outcome: Outcome): Admission | undefined {
  if (outcome.kind === 'allow') {
    const { kind: _, ...grant } = outcome
    return { isAllowed: true, rule: `${name} allows it`, ...grant }
  }
  return refusalFrom(name, outcome, ReasonCode.BadUserNameOrPassword)
}

/** What a service says that does not allow it; undefined: it leaves it to others. */
function refusalFrom(
  name: string,
  outcome: Exclude<Outcome, { kind: 'allow' }>,
  reasonCode: number,
): Decision | undefined {
  switch (outcome.kind) {
    case 'failure':
      return outcome.decision
    case 'ignore':
      return undefined
    case 'deny': {
      const { reason } = outcome
      if (reason === undefined) return denial(reasonCode, `${name} denies it`, HINT)
      const rule = `${name} denies it: ${reason.slice(0, REASON_SHOWN_MAX)}`
      return { ...denial(reasonCode, rule, HINT), reason }
    }
  }
}

type Authorizers = Required<Pick<AccessHooks, 'authorizePublish' | 'authorizeSubscribe'>>

/** What is known answers at once; a promise only while the service is asked. */
function authorizeBy(endpoint: Endpoint, cache: AnswerCache): Authorizers {
  const allowed: Decision = { isAllowed: true, rule: `${endpoint.name} allows it` }
  const ask = async (
    client: ClientInfo,
    question: object,
    key: string,
  ): Promise<Decision | undefined> => {
    const answers = cache.of(client)
    const outcome = await endpoint.ask({ ...question, ...aboutClient(client) }, client.address)
    const answer =
      outcome.kind === 'allow'
        ? allowed
        : refusalFrom(endpoint.name, outcome, ReasonCode.NotAuthorized)
    if (outcome.kind !== 'failure') cache.keep(answers, key, answer)
    return answer
  }
  const judge = (
    client: ClientInfo,
    question: object,
    key: string,
  ): Eventually<Decision | undefined> => {
    const known = cache.find(cache.of(client), key)
    return known === undefined ? ask(client, question, key) : known.answer
  }
  return {
    authorizePublish: (client, { topic, qos, retain }) =>
      judge(
        client,
        { action: 'publish', topic, qos, retain },
        `p${qos}${retain ? 'r' : ''} ${topic}`,
      ),
    authorizeSubscribe: (client, { topicFilter: topic, qos }) =>
      judge(client, { action: 'subscribe', topic, qos }, `s${qos} ${topic}`),
  }
}

/** What is not there is null, so that a service finds every field. */
function aboutClient(client: ClientInfo): object {
  const { clientIdentifier, userName, address, listener } = client
  return {
    client: clientIdentifier,
    user: userName ?? null,
    address,
    listener,
    certificateCommonName: client.certificateCommonName ?? null,
    protocolVersion: client.protocolVersion,
  }
}

/** MQTT allows any bytes as password; those that are no text are written as base64. */
function passwordIn({ password }: AuthenticateRequest): object {
  if (password === undefined) return { password: null }
  return isUtf8(password)
    ? { password: password.toString() }
    : { password: null, passwordBase64: password.toString('base64') }
}
