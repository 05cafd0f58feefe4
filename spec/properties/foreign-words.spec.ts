/** What comes from outside as a token, a rule of a client or an answer of a service: whatever it is, it is read or refused. */

import test from 'ava'
import fc from 'fast-check'
import { parseClientAcl } from '../../lib/security/client-acl.ts'
import { verdictOf } from '../../lib/security/http/verdict.ts'
import { parseKeySet } from '../../lib/security/jwt/key-set.ts'
import { readHeader } from '../../lib/security/jwt/token-verifier.ts'

/** Runs it; a refusal is an Error with a sentence, and no defect of ours. */
function readOrRefuse<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    const isDefect = error instanceof TypeError || error instanceof RangeError
    if (isDefect || !(error instanceof Error) || error.message === '') throw error
    return undefined
  }
}

const base64url = fc.string({ unit: fc.constantFrom('a', 'Y', '0', '-', '_', '.') })
const encoded = fc.json().map((text) => `${Buffer.from(text).toString('base64url')}.e30.x`)

test('any text is a token or none', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), base64url, encoded), (text) => {
      const header = readHeader(text)
      return header === undefined || typeof header.alg === 'string'
    }),
  )
  t.pass()
})

test('any value is rules of a client, each about something, or none', (t) => {
  const lists = fc.array(fc.oneof(fc.string(), fc.constantFrom('a/#', '%u/+', '')))
  const values = fc.oneof(
    fc.anything(),
    lists,
    fc.record({ publish: lists, subscribe: lists }, { requiredKeys: [] }),
  )
  fc.assert(
    fc.property(values, (value) => {
      const rules = readOrRefuse(() => parseClientAcl(value)) ?? []
      return rules.every(({ actions }) => actions.size > 0)
    }),
  )
  t.pass()
})

test('a filter of a client is taken as it stands', (t) => {
  const client = {
    clientIdentifier: 'c',
    userName: undefined,
    address: '127.0.0.1',
    listener: 'tcp-0',
    certificateCommonName: undefined,
  }
  const topics = fc.string({ minLength: 1 }).filter((text) => !/[+#%\0]/.test(text))
  fc.assert(
    fc.property(topics, (topic) => {
      const [rule] = parseClientAcl({ publish: [topic] })
      return rule?.filterFor(client)?.join('/') === topic
    }),
  )
  t.pass()
})

test('any answer of a service is a verdict or a failure', (t) => {
  const fields = fc.record(
    {
      result: fc.oneof(fc.constantFrom('allow', 'deny', 'ignore'), fc.jsonValue()),
      userName: fc.jsonValue(),
      expiresAt: fc.jsonValue(),
      acl: fc.jsonValue(),
      reason: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )
  const bodies = fc.oneof(
    fc.string(),
    fc.json(),
    fields.map((each) => JSON.stringify(each)),
  )
  fc.assert(
    fc.property(fc.constantFrom(200, 204, 302, 404, 500), bodies, (status, body) => {
      const verdict = readOrRefuse(() => verdictOf({ status, body }))
      const isAllowed = verdict?.kind === 'allow'
      return !isAllowed || status === 204 || /"result"\s*:\s*"allow"/.test(body)
    }),
  )
  t.pass()
})

test('any text is a key set or none', (t) => {
  const keys = fc.record(
    {
      kty: fc.constantFrom('RSA', 'EC', 'OKP', 'oct', 'x'),
      crv: fc.constantFrom('P-256', 'Ed25519', 'x'),
      ...Object.fromEntries(
        ['n', 'e', 'x', 'y', 'k', 'kid', 'alg', 'use'].map((name) => [name, fc.jsonValue()]),
      ),
    },
    { requiredKeys: [] },
  )
  const sets = fc.array(keys).map((each) => JSON.stringify({ keys: each }))
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), sets), (text) => {
      readOrRefuse(() => parseKeySet(text, ['RS256', 'ES256', 'EdDSA', 'HS256'], true))
      return true
    }),
  )
  t.pass()
})
