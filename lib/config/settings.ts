/**
 * The schema as a table, one row per option: what errors, help texts, environment, flags and generated
 * files are made from. Derived from the JSON Schema, so that it cannot differ from what is checked.
 */

import * as z from 'zod'
import { configurationSchema } from './schema.ts'

export interface Setting {
  /** `session.queueMessagesMax`; for a field of a listener the field alone. */
  readonly key: string
  readonly kind: 'integer' | 'boolean' | 'text' | 'choice' | 'list'
  /** What a value must be: "a whole number from 1 to 65535". */
  readonly expected: string
  /** The values of a choice. */
  readonly choices: readonly (string | number)[]
  /** Undefined: unset. */
  readonly default: unknown
  readonly isRequired: boolean
  readonly sentence: string
  /** Its value is not shown. */
  readonly isSecret: boolean
}

/** A group of options that one room of the broker is given. */
export interface Room {
  /** `session`; `security.jwt` for a group in a group, which stands behind the one around it. */
  readonly name: string
  readonly sentence: string
  readonly settings: readonly Setting[]
}

/** The part of JSON Schema that zod makes of our schema. */
interface Node {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly required?: readonly string[]
  readonly items?: Node
  readonly oneOf?: readonly Node[]
  readonly enum?: readonly (string | number)[]
  readonly const?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  /** Ours, for texts that a length alone does not describe. */
  readonly expected?: string
  readonly isSecret?: boolean
  readonly default?: unknown
  readonly description?: string
}

const kinds: Readonly<Record<string, Setting['kind']>> = {
  integer: 'integer',
  boolean: 'boolean',
  array: 'list',
}

/** The JSON Schema of the configuration file, for editors. */
export const jsonSchema: object = z.toJSONSchema(configurationSchema, {
  io: 'input',
  override({ jsonSchema: node }) {
    delete node['expected']
    delete node['isSecret']
  },
})

const whole = z.toJSONSchema(configurationSchema, { io: 'input' }) as Node
const { listeners: listenersNode = {}, ...roomNodes } = whole.properties ?? {}

/** All groups but the listeners, in the order of the schema. */
export const rooms: readonly Room[] = Object.entries(roomNodes).flatMap(([name, node]) =>
  roomsOf(name, node),
)

/** The fields of each type of listener; `type` itself is not among them. */
export const listenerTypes: ReadonlyMap<string, readonly Setting[]> = new Map(
  listenersNode.items?.oneOf?.map((node) => [
    node.properties?.['type']?.const ?? '',
    settingsOf(node, '').filter(({ key }) => key !== 'type'),
  ]),
)

export const listenersSentence: string = listenersNode.description ?? ''
export const defaultListeners: unknown = listenersNode.default

const byKey = new Map(rooms.flatMap((room) => room.settings.map((one) => [one.key, one])))

/**
 * Returns the option at a path such as `session.queueMessagesMax` or `listeners.0.port`. `listenerType`
 * tells listeners apart whose fields of one name differ.
 */
export function settingAt(path: string, listenerType?: string): Setting | undefined {
  const field = /^listeners\.\d+\.(.+)$/.exec(path)?.[1]
  if (field === undefined) return byKey.get(path)
  const ofType = listenerTypes.get(listenerType ?? '') ?? [...listenerTypes.values()].flat()
  return ofType.find(({ key }) => key === field)
}

/** Returns the last word of a setting's key. */
export function fieldOf(setting: Setting): string {
  return setting.key.slice(setting.key.lastIndexOf('.') + 1)
}

/** Returns the environment variable for a path: `NOCTULE_SESSION_QUEUE_MESSAGES_MAX`. */
export function environmentName(path: string): string {
  const words = path.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').replaceAll('.', '_')
  return `NOCTULE_${words.toUpperCase()}`
}

/** Returns the default as one would write it. */
export function describeDefault({ default: value }: Setting): string {
  if (value === undefined) return 'unset'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function roomsOf(name: string, node: Node): Room[] {
  const inner = Object.entries(node.properties ?? {}).filter(([, each]) => isGroup(each))
  return [
    { name, sentence: node.description ?? '', settings: settingsOf(node, `${name}.`) },
    ...inner.flatMap(([key, each]) => roomsOf(`${name}.${key}`, each)),
  ]
}

function isGroup(node: Node): boolean {
  return node.properties !== undefined
}

function settingsOf(group: Node, prefix: string): Setting[] {
  const own = Object.entries(group.properties ?? {}).filter(([, node]) => !isGroup(node))
  return own.map(([name, node]) => ({
    key: `${prefix}${name}`,
    kind: kindOf(node),
    expected: expectedOf(node),
    choices: node.enum ?? [],
    default: node.default,
    isRequired: group.required?.includes(name) ?? false,
    sentence: node.description ?? '',
    isSecret: node.isSecret ?? false,
  }))
}

function kindOf(node: Node): Setting['kind'] {
  return node.enum === undefined ? (kinds[node.type ?? ''] ?? 'text') : 'choice'
}

function expectedOf(node: Node): string {
  if (node.expected !== undefined) return node.expected
  const kind = kindOf(node)
  if (kind === 'integer') return `a whole number from ${node.minimum} to ${node.maximum}`
  if (kind === 'boolean') return 'true or false'
  if (kind === 'choice') return `one of ${node.enum?.join(', ')}`
  if (kind === 'list') return 'a list of texts'
  return `text of at most ${node.maxLength} characters`
}
