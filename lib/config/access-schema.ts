/** The options of those outside who say who may connect and do what: tokens, and a service over HTTP. */

import { validateHeaderName, validateHeaderValue } from 'node:http'
import * as z from 'zod'
import { choice, integer, optionalText, PATH_LENGTH_MAX, textLike, toggle } from './option-kinds.ts'

const NAME_LENGTH_MAX = 256
const LIST_LENGTH_MAX = 100
const HEADER_LENGTH_MAX = 8192

/** Signatures that tokens may have: no others are looked at, `none` least of all. */
const tokenAlgorithms = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const

const ALGORITHMS = `a list of ${tokenAlgorithms.join(', ')}`
const HEADERS = 'a list of NAME: VALUE'
const URLS = 'an http:// or https:// URL without user name and password in it'

const jwt = z
  .strictObject({
    algorithms: z
      .array(z.string())
      .refine(areAlgorithms, ALGORITHMS)
      .default([])
      .meta({ expected: ALGORITHMS })
      .describe(
        'Signatures that are accepted; has to be said. HS… need a secret, the others a public key: one is never taken for the other.',
      ),
    secretFile: optionalText(
      PATH_LENGTH_MAX,
      'Secret of HS256, HS384 and HS512, of at least 32, 48 and 64 bytes. A changed file is in force at once.',
    ),
    secretEncoding: choice(
      ['text', 'base64'],
      'text',
      'How the secret is written; the end of the line is not a part of it.',
    ),
    publicKeyFile: optionalText(
      PATH_LENGTH_MAX,
      'Public keys or certificates of those who sign, PEM, one or several. A changed file is in force at once.',
    ),
    jwksFile: optionalText(
      PATH_LENGTH_MAX,
      'A JSON Web Key Set. A changed file is in force at once.',
    ),
    jwksUrl: httpUrl(
      'Where a JSON Web Key Set is fetched, and fetched again when a token names a key that is not in it.',
    ),
    jwksCaFile: optionalText(
      PATH_LENGTH_MAX,
      'Authorities that the certificate of that server is checked against, PEM; unset: those that Node knows.',
    ),
    jwksRefreshSeconds: integer(
      10,
      86_400,
      600,
      'How old the set may become before it is fetched again; until that works, the old one stays in force.',
    ),
    jwksCooldownSeconds: integer(
      1,
      3600,
      30,
      'How long after a fetch there is no other one, whatever keys tokens name.',
    ),
    jwksTimeoutMs: integer(100, 60_000, 5000, 'How long that server may take to answer.'),
    issuers: nameList('Values of the claim `iss` that are accepted; empty: any, or none.'),
    audiences: nameList(
      'Values of the claim `aud`, one of which a token must have; empty: any, or none.',
    ),
    requireExpiry: toggle(true, 'Whether a token must have an `exp`.'),
    clockToleranceSeconds: integer(
      0,
      3600,
      5,
      'By how much the clock of who signs may differ from ours.',
    ),
    userNameClaim: claim('sub', 'Claim that is the user name of the client.'),
    requireSameUserName: toggle(
      true,
      'Whether the user name in CONNECT, if there is one, must be the one in the token.',
    ),
    clientIdentifierClaim: optionalText(
      NAME_LENGTH_MAX,
      'Claim that must be the Client Identifier; unset: a token is good for any.',
    ),
    aclClaim: claim('acl', 'Claim with what the client may publish and subscribe to.'),
    allowInUserName: toggle(
      false,
      'Whether the token may stand in the user name, for clients that send no password.',
    ),
  })
  .superRefine((options, context) => {
    const { algorithms, secretFile, publicKeyFile, jwksFile, jwksUrl } = options
    const keys = { secretFile, publicKeyFile, jwksFile, jwksUrl }
    const [named] = Object.entries(keys).find(([, value]) => value !== undefined) ?? []
    if (named !== undefined && algorithms.length === 0) {
      const message = `the signatures that are accepted, such as [ES256], since ${named} is set`
      context.addIssue({ code: 'custom', path: ['algorithms'], message })
    }
    if (named === undefined && algorithms.length > 0) {
      const message = 'empty, or secretFile, publicKeyFile, jwksFile or jwksUrl must be set'
      context.addIssue({ code: 'custom', path: ['algorithms'], message })
    }
    if (options.jwksCaFile !== undefined && jwksUrl === undefined) {
      const message = 'a URL, since jwksCaFile is set'
      context.addIssue({ code: 'custom', path: ['jwksUrl'], message })
    }
    const isSymmetric = algorithms.some((one) => one.startsWith('HS'))
    if (secretFile !== undefined && algorithms.length > 0 && !isSymmetric) {
      const message = 'a list with HS256, HS384 or HS512, since secretFile is set'
      context.addIssue({ code: 'custom', path: ['algorithms'], message })
    }
  })

const http = z
  .strictObject({
    authenticateUrl: httpUrl('Is asked, by POST, whether a client may connect.'),
    authorizeUrl: httpUrl('Is asked, by POST, whether a client may publish or subscribe.'),
    headers: z
      .array(z.string().max(HEADER_LENGTH_MAX))
      .max(LIST_LENGTH_MAX)
      .refine(areHeaders, HEADERS)
      .default([])
      .meta({ expected: HEADERS, isSecret: true })
      .describe("Headers of each question, such as 'X-Api-Key: KEY'; their values are not shown."),
    caFile: optionalText(
      PATH_LENGTH_MAX,
      'Authorities that the certificate of the service is checked against, PEM; unset: those that Node knows.',
    ),
    timeoutMs: integer(50, 60_000, 3000, 'How long the service may take to answer.'),
    connectionsMax: integer(
      1,
      1000,
      16,
      'How many questions are under way at once, to each of the two.',
    ),
    waitingMax: integer(
      0,
      100_000,
      256,
      'How many may wait for that; what is beyond is refused: a CONNECT is told that the broker is busy (0x89).',
    ),
    responseBytesMax: integer(256, 16 * 1024 ** 2, 65_536, 'Longest answer that is read.'),
    cacheAllowSeconds: integer(
      0,
      86_400,
      60,
      'How long a client that was allowed a topic is not asked about again; 0: asked each time.',
    ),
    cacheDenySeconds: integer(0, 86_400, 10, 'The same for a topic that it was denied.'),
    cacheMax: integer(
      0,
      10_000,
      64,
      'How many answers are kept for each client, while it is connected; the oldest goes.',
    ),
    failuresMax: integer(
      1,
      10_000,
      5,
      'After so many failures in a row the service is not asked for a while, and everything is refused.',
    ),
    retryAfterSeconds: integer(
      1,
      3600,
      10,
      'How long that while is; then one question tries whether it answers.',
    ),
  })
  .superRefine(({ authenticateUrl, authorizeUrl, caFile, headers }, context) => {
    if (authenticateUrl !== undefined || authorizeUrl !== undefined) return
    if (caFile === undefined && headers.length === 0) return
    const message = 'a URL, or authorizeUrl must be one, since headers or caFile is set'
    context.addIssue({ code: 'custom', path: ['authenticateUrl'], message })
  })

/** The groups below `security`. */
export const accessGroups: Readonly<Record<'jwt' | 'http', z.ZodPrefault<z.ZodType>>> = {
  jwt: jwt.prefault({}).describe('JSON Web Tokens as passwords, if a key is set.'),
  http: http.prefault({}).describe('A service that is asked over HTTP, if a URL is set.'),
}

function nameList(sentence: string): z.ZodDefault<z.ZodArray<z.ZodString>> {
  const name = z.string().min(1).max(PATH_LENGTH_MAX)
  return z.array(name).max(LIST_LENGTH_MAX).default([]).describe(sentence)
}

function httpUrl(sentence: string): z.ZodOptional<z.ZodString> {
  const url = z.string().max(PATH_LENGTH_MAX).refine(isHttpUrl, URLS).meta({ expected: URLS })
  return url.optional().describe(sentence)
}

function claim(byDefault: string, sentence: string): z.ZodDefault<z.ZodString> {
  const form = textLike(/^.{1,256}$/s, `text of 1 to ${NAME_LENGTH_MAX} characters`)
  return form.default(byDefault).describe(sentence)
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  return (protocol === 'http:' || protocol === 'https:') && username === '' && password === ''
}

function areAlgorithms(list: readonly string[]): boolean {
  const known: readonly string[] = tokenAlgorithms
  return list.every((one) => known.includes(one)) && new Set(list).size === list.length
}

function areHeaders(list: readonly string[]): boolean {
  return list.every((line) => headerOf(line) !== undefined)
}

/** Name and value of a header as it is written; undefined if it is none. */
export function headerOf(line: string): readonly [string, string] | undefined {
  const colon = line.indexOf(':')
  const name = line.slice(0, colon).trim()
  const value = line.slice(colon + 1).trim()
  try {
    if (colon < 1) return undefined
    validateHeaderName(name)
    validateHeaderValue(name, value)
    return [name, value]
  } catch {
    return undefined
  }
}
