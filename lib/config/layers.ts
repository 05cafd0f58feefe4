/** Environment and flags as lists of assignments, which `load.ts` puts on top of the file. */

import { parseDocument } from 'yaml'
import { nearest } from '../util/nearest.ts'
import { type ConfigurationProblem, unknownKey } from './problems.ts'
import { environmentName, listenerTypes, rooms, settingAt } from './settings.ts'

/** One key that a layer sets. */
export interface Assignment {
  readonly path: string
  readonly value: unknown
  /** `env NOCTULE_LOG_LEVEL` or `flag --log.level`. */
  readonly origin: string
}

export interface Layer {
  readonly assignments: readonly Assignment[]
  readonly problems: readonly ConfigurationProblem[]
}

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Values by room and key, as yargs makes them of `--session.queueMessagesMax 5`, or by path, as
 * `{ 'listeners.0.port': 0 }`. `undefined` counts as not given.
 */
export type Flags = Readonly<Record<string, unknown>>

/** Variables that are not options: the file itself. */
const reservedVariables: readonly string[] = ['NOCTULE_CONFIG']

// Kubernetes gives these to every container when there is a service of the name noctule.
const SERVICE_LINK =
  /^NOCTULE_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$/

/** A service's own variable holds a URL; with a bare number somebody means our port. */
function isServiceLink(name: string, text: string): boolean {
  const isOurs = /(?<!SERVICE|TCP|UDP|SCTP)_PORT$/.test(name) && /^\d+$/.test(text)
  return SERVICE_LINK.test(name) && !isOurs
}

const pathByVariable = new Map<string, string>(
  rooms.flatMap(({ name, settings }) =>
    [name, ...settings.map(({ key }) => key)].map((path) => [environmentName(path), path]),
  ),
)
const fieldByVariable = new Map<string, string>(
  ['type', ...[...listenerTypes.values()].flat().map(({ key }) => key)].map((field) => [
    environmentName(`listeners.0.${field}`).replace('_0_', '_N_'),
    field,
  ]),
)

/**
 * Reads `NOCTULE_SESSION_QUEUE_MESSAGES_MAX`, `NOCTULE_LISTENERS_0_PORT` and the like. Lists and groups
 * are YAML or JSON text. An empty variable counts as unset, as Compose files make them.
 */
export function environmentLayer(environment: Environment): Layer {
  const assignments: Assignment[] = []
  const problems: ConfigurationProblem[] = []
  // Groups come before their keys, and the tenth listener after the ninth.
  const names = Object.keys(environment).toSorted((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  )
  for (const name of names) {
    const text = environment[name]
    if (!name.startsWith('NOCTULE_') || text === undefined || text === '') continue
    if (reservedVariables.includes(name)) continue
    const path = pathOfVariable(name)
    if (path !== undefined) {
      assignments.push(...split(path, readText(path, text), `env ${name}`))
    } else if (!isServiceLink(name, text)) {
      problems.push(unknownVariable(name))
    }
  }
  return { assignments, problems }
}

/** Takes the values of flags: text is read as in the environment, other values are taken as they are. */
export function flagLayer(flags: Flags): Layer {
  const assignments: Assignment[] = []
  const add = (path: string, value: unknown): void => {
    if (value === undefined) return
    const hasKeys = path === 'listeners' || !isSetting(path)
    if (hasKeys && typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) add(`${path}.${key}`, inner)
      return
    }
    const read = typeof value === 'string' ? readText(path, value) : value
    assignments.push(...split(path, read, `flag --${path}`))
  }
  for (const [key, value] of Object.entries(flags)) add(key, value)
  return { assignments, problems: [] }
}

function isSetting(path: string): boolean {
  return settingAt(path) !== undefined
}

function pathOfVariable(name: string): string | undefined {
  if (name === 'NOCTULE_LISTENERS') return 'listeners'
  const [, index, rest] = /^NOCTULE_LISTENERS_(\d{1,3})(_.+)?$/.exec(name) ?? []
  if (index === undefined) return pathByVariable.get(name)
  if (rest === undefined) return `listeners.${Number(index)}`
  const field = fieldByVariable.get(`NOCTULE_LISTENERS_N${rest}`)
  return field === undefined ? undefined : `listeners.${Number(index)}.${field}`
}

/** Sets the keys of a group one by one, so that those it does not name stay as they are. */
function split(path: string, value: unknown, origin: string): Assignment[] {
  const isGroup = rooms.some(({ name }) => name === path)
  if (!isGroup || typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [{ path, value, origin }]
  }
  return Object.entries(value).flatMap(([key, inner]) => split(`${path}.${key}`, inner, origin))
}

/** What cannot be read stays text, which the schema then refuses with the words of the option. */
function readText(path: string, text: string): unknown {
  const setting = settingAt(path)
  if (setting?.kind === 'text' || path.endsWith('.type')) return text
  if (setting?.kind === 'choice') {
    return setting.choices.find((choice) => String(choice) === text) ?? text
  }
  const document = parseDocument(text, { prettyErrors: false })
  if (document.errors.length > 0) return text
  try {
    return document.toJS()
  } catch {
    return text // Aliases without an anchor.
  }
}

function unknownVariable(name: string): ConfigurationProblem {
  const index = /^NOCTULE_LISTENERS_(\d{1,3})_/.exec(name)?.[1]
  const fields = [...fieldByVariable.keys()].map((key) => key.replace('_N_', `_${index}_`))
  const known = index === undefined ? [...pathByVariable.keys(), 'NOCTULE_LISTENERS'] : fields
  const near = nearest(withoutStart(name), known.map(withoutStart))
  const found = known.find((word) => withoutStart(word) === near)
  return unknownKey(`env ${name}`, name, found)
}

/** The beginning that all have would make every name alike. */
function withoutStart(name: string): string {
  return name.replace(/^NOCTULE_(LISTENERS_\d+_)?/, '')
}
