/** `security.scram`: Authentication Methods for all users that a source has SCRAM keys of. */

import type { SecurityConfiguration } from '../../config/options.ts'
import type { AccessSource } from '../access-sources.ts'
import { ScramExchange, type ScramUsers } from './exchange.ts'
import { type ScramKeys, type ScramMethod, scramMethods } from './keys.ts'

/** Undefined if the configuration names no method. `sources` are asked in their order. */
export function scramSource(
  { scram }: SecurityConfiguration,
  sources: readonly (AccessSource | undefined)[],
): AccessSource | undefined {
  const methods = scramMethods.filter((method) => scram.includes(method))
  if (methods.length === 0) return undefined
  const users = new AllUsers(sources.flatMap((source) => source?.scramUsers ?? []))
  const begin = (method: ScramMethod) => () => new ScramExchange(method, users)
  return {
    hooks: {
      authenticationMethods: Object.fromEntries(methods.map((method) => [method, begin(method)])),
    },
    open: async () => {},
    reload: async () => {},
    close: async () => {},
  }
}

class AllUsers implements ScramUsers {
  readonly #all: readonly ScramUsers[]

  constructor(all: readonly ScramUsers[]) {
    this.#all = all
  }

  async scramKeysOf(userName: string, method: ScramMethod): Promise<ScramKeys | null | undefined> {
    for (const users of this.#all) {
      // oxlint-disable-next-line no-await-in-loop -- The first that knows decides.
      const keys = await users.scramKeysOf(userName, method)
      if (keys !== undefined) return keys
    }
    return undefined
  }

  scramExample(method: ScramMethod): ScramKeys | undefined {
    for (const users of this.#all) {
      const example = users.scramExample(method)
      if (example !== undefined) return example
    }
    return undefined
  }
}
