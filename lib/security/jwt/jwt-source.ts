/** `security.jwt` as one that is asked: its files and its server, opened with the broker. */

import type { KeyObject } from 'node:crypto'
import type { SecurityConfiguration, SecurityJwtConfiguration } from '../../config/options.ts'
import type { Eventually } from '../access.ts'
import type { AccessSource, SourceParts } from '../access-sources.ts'
import { HttpClient } from '../http/http-client.ts'
import { LiveFile } from '../live-file.ts'
import {
  candidatesIn,
  parseKeySet,
  parsePem,
  parseSecret,
  type VerificationKey,
} from './key-set.ts'
import { KEY_SET_BYTES_MAX, RemoteKeys } from './remote-keys.ts'
import { TOKEN_METHOD, type TokenKeys, TokenSource } from './token-source.ts'

/** Undefined if the configuration names no keys. */
export function jwtSource(
  security: SecurityConfiguration,
  parts: SourceParts,
): AccessSource | undefined {
  const { jwt } = security
  const server = keyServer(jwt, parts)
  const remote = server && new RemoteKeys(jwt, server, parts.clock, parts.log)
  const keys = new Keys(remote)
  const files = filesOf(jwt, keys, server, parts)
  if (files.length === 0 && server === undefined) return undefined
  const tokens = new TokenSource(security, keys, parts.clock)
  return {
    hooks: {
      authenticate: (request) => tokens.authenticate(request),
      authenticationMethods: { [TOKEN_METHOD]: (client) => tokens.exchange(client) },
    },
    async open() {
      await tokens.load()
      for (const file of files) await file.open()
      await remote?.fetch()
    },
    async reload() {
      await Promise.all([...files.map((file) => file.check()), remote?.fetch()])
    },
    async close() {
      for (const file of files) file.close()
      server?.close()
    },
  }
}

function keyServer(jwt: SecurityJwtConfiguration, { clock }: SourceParts): HttpClient | undefined {
  const { jwksUrl: url, jwksTimeoutMs: timeoutMs } = jwt
  if (url === undefined) return undefined
  const bounds = { connectionsMax: 1, timeoutMs, responseBytesMax: KEY_SET_BYTES_MAX }
  return new HttpClient({ url, headers: {}, ...bounds }, clock)
}

function filesOf(
  jwt: SecurityJwtConfiguration,
  keys: Keys,
  server: HttpClient | undefined,
  { clock, log }: SourceParts,
): LiveFile[] {
  const { algorithms } = jwt
  const uses = {
    secretFile: (text: string) => keys.use('secretFile', parseSecret(text, jwt)),
    publicKeyFile: (text: string) => keys.use('publicKeyFile', parsePem(text, algorithms)),
    jwksFile: (text: string) => keys.use('jwksFile', parseKeySet(text, algorithms, true)),
    jwksCaFile: (text: string) => server?.trust(text),
  }
  return Object.entries(uses).flatMap(([name, use]) => {
    const path = jwt[name as keyof typeof uses]
    const hint = 'docs/authentication.md says what belongs there'
    const option = `security.jwt.${name}`
    return path === undefined ? [] : [new LiveFile({ option, path, hint, use, clock, log })]
  })
}

/** The keys of all files, and of the server. */
class Keys implements TokenKeys {
  readonly #remote: RemoteKeys | undefined
  readonly #byOption = new Map<string, readonly VerificationKey[]>()
  #own: readonly VerificationKey[] = []

  constructor(remote: RemoteKeys | undefined) {
    this.#remote = remote
  }

  get areKnown(): boolean {
    return this.#own.length > 0 || this.#remote?.areKnown === true
  }

  use(option: string, keys: readonly VerificationKey[]): void {
    this.#byOption.set(option, keys)
    this.#own = [...this.#byOption.values()].flat()
  }

  find(keyIdentifier: string | undefined, algorithm: string): Eventually<readonly KeyObject[]> {
    const own = candidatesIn(this.#own, keyIdentifier, algorithm)
    const theirs = this.#remote?.find(keyIdentifier, algorithm) ?? []
    if (theirs instanceof Promise) return theirs.then((late) => [...own, ...late])
    return [...own, ...theirs]
  }
}
