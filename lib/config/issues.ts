/** Turns what zod finds into problems in the words of the options. */

import type * as z from 'zod'
import { nearest } from '../util/nearest.ts'
import type { Draft } from './draft.ts'
import { type ConfigurationProblem, unknownKey, wrongValue } from './problems.ts'
import { fieldOf, listenerTypes, rooms, settingAt } from './settings.ts'

export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  draft: Draft,
): ConfigurationProblem[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => unknownKeyAt([...issue.path.map(String), key], draft))
    }
    const path = issue.path.map(String)
    const key = path.join('.')
    const type = path[0] === 'listeners' ? valueAt(draft, [...path.slice(0, 2), 'type']) : undefined
    const expected = expectedOf(issue, key, typeof type === 'string' ? type : undefined)
    const shownKey = key === '' ? 'the configuration' : key
    return [wrongValue(draft.placeOf(key), shownKey, expected, valueAt(draft, path))]
  })
}

function expectedOf(issue: z.core.$ZodIssue, key: string, type: string | undefined): string {
  if (issue.code === 'custom' || issue.code === 'invalid_format') return issue.message
  if (issue.code === 'invalid_union') {
    const types = [...listenerTypes.keys()]
    return key.endsWith('.type') ? `one of ${types.join(', ')}` : issue.message
  }
  const setting = settingAt(key, type)
  if (setting !== undefined) return setting.expected
  if (key === 'listeners')
    return issue.code === 'too_big' ? 'a shorter list' : 'a list of listeners'
  if (issue.code === 'invalid_type' && issue.expected === 'object') return 'a group of keys'
  return 'text' // An item of a list.
}

function unknownKeyAt(path: readonly string[], draft: Draft): ConfigurationProblem {
  const key = path.join('.')
  const where = draft.placeOf(key)
  const word = path.at(-1) as string
  const group = path.slice(0, -1).join('.')
  if (path[0] === 'listeners') return unknownField(where, path, draft)
  if (group === '') {
    const names = ['listeners', ...rooms.map(({ name }) => name)]
    const near = nearest(word, names)
    return unknownKey(where, key, elsewhere(word) ?? near)
  }
  const settings = rooms.find(({ name }) => name === group)?.settings ?? []
  const near = nearest(word, settings.map(fieldOf))
  return unknownKey(where, key, near === undefined ? elsewhere(word) : `${group}.${near}`)
}

/** A key that exists, in another group. */
function elsewhere(word: string): string | undefined {
  const known = rooms.flatMap(({ settings }) => settings)
  return known.find((setting) => fieldOf(setting) === word || setting.key === word)?.key
}

function unknownField(where: string, path: readonly string[], draft: Draft): ConfigurationProblem {
  const key = path.join('.')
  const field = path.at(-1) as string
  const type = String(valueAt(draft, [...path.slice(0, -1), 'type']))
  const others = [...listenerTypes].filter(([, settings]) =>
    settings.some((setting) => setting.key === field),
  )
  if (others.length > 0) {
    const names = others.map(([name]) => name).join(', ')
    return unknownKey(where, key, undefined, ` for type ${type}, only for ${names}`)
  }
  const fields = listenerTypes.get(type)?.map((setting) => setting.key) ?? []
  const near = nearest(field, ['type', ...fields])
  return unknownKey(where, key, near && `${path[0]}.${path[1]}.${near}`)
}

function valueAt(draft: Draft, path: readonly string[]): unknown {
  let value = draft.values
  for (const segment of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment))
      return undefined
    value = (value as Record<string, unknown>)[segment]
  }
  return value
}
