/** A configuration in the making: the layers put on each other, and for every value where it came from. */

import type { ConfigurationFile } from './file.ts'
import type { Assignment } from './layers.ts'
import { LISTENERS_MAX } from './listener-schema.ts'
import { type ConfigurationProblem, wrongValue } from './problems.ts'
import { defaultListeners, listenerTypes, rooms, settingAt } from './settings.ts'

type Tree = Record<string, unknown>

export class Draft {
  /** What the schema is asked to check. */
  readonly values: unknown
  readonly #file: ConfigurationFile | undefined
  /** Path to origin, for everything that is not from the file. */
  readonly #overrides = new Map<string, string>()

  /** Takes what a file says, or the options of a host program. */
  constructor(values: unknown, file?: ConfigurationFile) {
    this.values = withoutUnset(values ?? {})
    this.#file = file
  }

  /** Sets one key; returns a problem when there is no such place. */
  assign({ path, value, origin }: Assignment): ConfigurationProblem | undefined {
    if (!isTree(this.values)) return undefined
    const segments = path.split('.')
    if (segments[0] === 'listeners' && segments.length > 1) {
      const listeners = (this.values['listeners'] ??= structuredClone(defaultListeners))
      const problem = wrongIndex(listeners, Number(segments[1]), origin)
      if (problem !== undefined) return problem
    }
    const key = segments.pop() ?? ''
    let group: unknown = this.values
    for (const segment of segments) {
      if (isTree(group) && !Object.hasOwn(group, segment)) group[segment] = {}
      group = isTree(group) ? group[segment] : undefined
    }
    // Into a group that is none nothing can be put; the schema complains about it.
    if (!isTree(group)) return undefined
    if (value === null && isUnsettable(path)) delete group[key]
    else if (value !== undefined) group[key] = value
    this.#forgetBelow(path)
    this.#overrides.set(path, origin)
    return undefined
  }

  /** Returns where a value came from. */
  originOf(path: string): string {
    if (!hasPath(this.values, path)) return 'default'
    const override = this.#overrideOf(path)
    if (override !== undefined) return override
    const place = this.#file?.lineOf(path.split('.'))
    return place?.isExact === true ? `${this.#file?.name}:${place.line}` : 'default'
  }

  /** Returns where to look for a mistake: as `originOf`, but never a default. */
  placeOf(path: string): string {
    const override = this.#overrideOf(path)
    if (override !== undefined) return override
    const place = this.#file?.lineOf(path.split('.'))
    if (place?.isExact !== true) {
      const nearby = this.#overrideBelow(`${path}.`) ?? this.#overrideBelow(parentOf(path))
      if (nearby !== undefined) return nearby
    }
    return place === undefined ? 'options' : `${this.#file?.name}:${place.line}`
  }

  /** Returns the origin of every option in `options`, in the order of the schema. */
  originsOf(listeners: readonly { readonly type: string }[]): Map<string, string> {
    const paths = listeners.flatMap(({ type }, index) =>
      ['type', ...(listenerTypes.get(type) ?? []).map(({ key }) => key)].map(
        (field) => `listeners.${index}.${field}`,
      ),
    )
    for (const { settings } of rooms) paths.push(...settings.map(({ key }) => key))
    return new Map(paths.map((path) => [path, this.originOf(path)]))
  }

  #overrideOf(path: string): string | undefined {
    for (let at = path; at !== ''; at = at.slice(0, Math.max(at.lastIndexOf('.'), 0))) {
      const origin = this.#overrides.get(at)
      if (origin !== undefined) return origin
    }
    return undefined
  }

  /** For a key that another one of its group asks for: the mistake is where that other one was set. */
  #overrideBelow(prefix: string): string | undefined {
    if (prefix === '') return undefined
    for (const [path, origin] of this.#overrides) if (path.startsWith(prefix)) return origin
    return undefined
  }

  #forgetBelow(path: string): void {
    for (const other of this.#overrides.keys()) {
      if (other.startsWith(`${path}.`)) this.#overrides.delete(other)
    }
  }
}

/** The next listener may be added, but none behind a gap. */
function wrongIndex(
  listeners: unknown,
  index: number,
  origin: string,
): ConfigurationProblem | undefined {
  if (!Array.isArray(listeners)) return undefined
  const isPlace = Number.isInteger(index) && index >= 0 && index <= listeners.length
  if (isPlace && index < LISTENERS_MAX) return undefined
  const expected = `the number of a listener; there are ${listeners.length}, counted from 0`
  return wrongValue(origin, 'listeners', expected, index)
}

/**
 * Copies the tree without groups that are empty, as when every key of one is commented out, and without
 * `null` where an option may be unset.
 */
function withoutUnset(value: unknown, path = ''): unknown {
  if (Array.isArray(value)) {
    return value.map((item, index) => withoutUnset(item, `${path}.${index}`))
  }
  if (!isPlain(value)) return value
  const kept = Object.entries(value).filter(([key, inner]) => {
    const isUnset = inner === undefined || (inner === null && isUnsettable(join(path, key)))
    return !isUnset
  })
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutUnset(inner, join(path, key))]))
}

function hasPath(values: unknown, path: string): boolean {
  let value = values
  for (const segment of path.split('.')) {
    if (!isTree(value) || !Object.hasOwn(value, segment)) return false
    value = value[segment]
  }
  return true
}

/** Returns the path of the group around `path`, with its dot; empty for a group itself. */
function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('.') + 1)
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}

function isUnsettable(path: string): boolean {
  if (path === 'listeners' || rooms.some(({ name }) => name === path)) return true
  const setting = settingAt(path)
  return setting !== undefined && setting.default === undefined && !setting.isRequired
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null
}

/** Objects of classes are not taken apart; the schema refuses them. */
function isPlain(value: unknown): value is Tree {
  if (!isTree(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
