/** `security.jwt` as one that is asked: its files and its server, opened with the broker. */

import type { KeyObject } from 'node:crypto'
import type { SecurityConfiguration } from '../../config/options.ts'
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
  const { secretFile, publicKeyFile, jwksFile, jwksUrl, jwksCaFile, algorithms } = jwt
  const keys = new Keys()
  const keyFile = (option: string, path: string | undefined, parse: Parse): LiveFile[] => {
    if (path === undefined) return []
    const use = (text: string) => keys.use(option, parse(text))
    return [new LiveFile({ option: `security.jwt.${option}`, path, hint: HINT, use, ...parts })]
  }
  const files = [
    ...keyFile('secretFile', secretFile, (text) => parseSecret(text, jwt)),
    ...keyFile('publicKeyFile', publicKeyFile, (text) => parsePem(text, algorithms)),
    ...keyFile('jwksFile', jwksFile, (text) => parseKeySet(text, algorithms, true)),
  ]
  if (jwksUrl !== undefined) {
    const { clock, log } = parts
    const server = new HttpClient(
      {
        url: jwksUrl,
        headers: {},
        connectionsMax: 1,
        timeoutMs: jwt.jwksTimeoutMs,
        responseBytesMax: KEY_SET_BYTES_MAX,
      },
      clock,
    )
    keys.server = server
    keys.remote = new RemoteKeys(jwt, server, clock, log)
    if (jwksCaFile !== undefined) {
      const use = (text: string) => server.trust(text)
      const option = 'security.jwt.jwksCaFile'
      files.push(new LiveFile({ option, path: jwksCaFile, hint: HINT, use, ...parts }))
    }
  }
  if (files.length === 0 && jwksUrl === undefined) return undefined
  const tokens = new TokenSource(security, keys, parts.clock)
  return {
    hooks: {
      authenticate: (request) => tokens.authenticate(request),
      authenticationMethods: { [TOKEN_METHOD]: (client) => tokens.exchange(client) },
    },
    async open() {
      await tokens.load()
      for (const file of files) await file.open()
      await keys.remote?.fetch()
    },
    async reload() {
      await Promise.all([...files.map((file) => file.check()), keys.remote?.fetch()])
    },
    async close() {
      for (const file of files) file.close()
      keys.server?.close()
    },
  }
}

const HINT = 'docs/authentication.md says what belongs there'

type Parse = (text: string) => VerificationKey[]

/** The keys of all files, and of the server. */
class Keys implements TokenKeys {
  readonly #byOption = new Map<string, readonly VerificationKey[]>()
  #own: readonly VerificationKey[] = []
  server: HttpClient | undefined
  remote: RemoteKeys | undefined

  get areKnown(): boolean {
    return this.#own.length > 0 || this.remote?.areKnown === true
  }

  use(option: string, keys: readonly VerificationKey[]): void {
    this.#byOption.set(option, keys)
    this.#own = [...this.#byOption.values()].flat()
  }

  find(keyIdentifier: string | undefined, algorithm: string): Eventually<readonly KeyObject[]> {
    const own = candidatesIn(this.#own, keyIdentifier, algorithm)
    const theirs = this.remote?.find(keyIdentifier, algorithm) ?? []
    if (theirs instanceof Promise) return theirs.then((late) => [...own, ...late])
    return [...own, ...theirs]
  }
}
