/** Refuses hooks that do not exist: one that is misspelt would never be asked, and everybody let in. */

import { ConfigurationError, unknownKey, wrongValue } from '../config/problems.ts'
import { nearest } from '../util/nearest.ts'
import type { AccessHooks } from './access.ts'

const kinds: Readonly<Record<keyof AccessHooks, 'a function' | 'an object of functions'>> = {
  authenticate: 'a function',
  authorizePublish: 'a function',
  authorizeSubscribe: 'a function',
  authorizeReceive: 'a function',
  authenticationMethods: 'an object of functions',
}

/** Throws a `ConfigurationError` that names every hook which is none. */
export function checkHooks(hooks: AccessHooks): void {
  const names = Object.keys(kinds)
  const problems = Object.entries(hooks).flatMap(([name, hook]) => {
    const key = `hooks.${name}`
    if (!names.includes(name)) {
      const near = nearest(name, names)
      return [unknownKey('options', key, near === undefined ? undefined : `hooks.${near}`)]
    }
    const kind = kinds[name as keyof AccessHooks]
    const isRight =
      hook === undefined || typeof hook === (kind === 'a function' ? 'function' : 'object')
    return isRight ? [] : [wrongValue('options', key, kind, hook)]
  })
  if (problems.length > 0) throw new ConfigurationError(problems)
}
