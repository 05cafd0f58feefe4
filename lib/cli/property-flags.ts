/**
 * MQTT 5.0 properties of the command line: `-D "publish content-type text/plain"`, checked against the
 * table of the standard and turned into what MQTT.js takes.
 */

import { TWO_BYTE_INTEGER_MAX, VARIABLE_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import { type PropertyPlace, type PropertyRule, propertyRules } from '../protocol/properties.ts'
import { kebabOf } from '../util/kebab.ts'
import { UsageError } from './failures.ts'
import { parseWholeNumber } from './flag-values.ts'

/** Stands between the words of a `-D` that came as several words. */
export const PROPERTY_SEPARATOR = '\u001f'

/** Properties as MQTT.js wants them. */
export type ClientProperties = Record<string, unknown>

/** The properties of each packet that the command sends; packets without any are missing. */
export type PropertiesByPlace = Partial<Record<PropertyPlace, ClientProperties>>

/** The packets of ours that `-D` may name; the broker's own packets are not ours to fill. */
const SENDING_PLACES: ReadonlySet<string> = new Set([
  'connect',
  'will',
  'publish',
  'subscribe',
  'disconnect',
])

const LARGEST: Readonly<Record<string, number>> = {
  byte: 255,
  'two-byte': TWO_BYTE_INTEGER_MAX,
  'four-byte': 0xffff_ffff,
  variable: VARIABLE_BYTE_INTEGER_MAX,
}

/** Reads all `-D`. Throws a sentence for a property that does not exist or does not belong there. */
export function parsePropertyFlags(flags: readonly string[]): PropertiesByPlace {
  const properties: PropertiesByPlace = {}
  for (const flag of flags) {
    const { place, name, value } = splitFlag(flag)
    const rule = findRule(place, name)
    addProperty((properties[place] ??= {}), rule, value)
  }
  return properties
}

/** Adds one property, whose `value` for a User Property is `NAME VALUE` in two strings. */
export function addProperty(
  properties: ClientProperties,
  rule: PropertyRule,
  value: readonly string[],
): void {
  const [first = '', second = ''] = value
  const spelling = spell(rule)
  if (rule.type === 'pair') {
    const known = (properties.userProperties ??= Object.create(null)) as Record<string, string[]>
    ;(known[first] ??= []).push(second)
    return
  }
  const name = nameInClient(rule)
  if (name in properties) throw new UsageError(`The property ${spelling} is given twice`)
  properties[name] = convert(spelling, rule, first)
}

/** Returns the rule of a property that the program itself names. */
export function ruleOf(name: PropertyRule['name']): PropertyRule {
  const rule = propertyRules.find((candidate) => candidate.name === name)
  if (rule === undefined) throw new Error(`no property is called ${name}`)
  return rule
}

function splitFlag(flag: string): {
  place: PropertyPlace
  name: string
  value: readonly string[]
} {
  const words = flag.includes(PROPERTY_SEPARATOR)
    ? flag.split(PROPERTY_SEPARATOR)
    : splitWords(flag.trim())
  const [packet = '', name = '', ...value] = words
  const place = packet.toLowerCase()
  if (!SENDING_PLACES.has(place)) {
    const places = [...SENDING_PLACES].join(', ')
    throw new UsageError(`-D begins with the packet (${places}), not with "${packet}"`)
  }
  const wanted = name === 'user-property' ? 2 : 1
  if (name === '' || value.length < wanted) {
    const form = name === 'user-property' ? 'user-property NAME VALUE' : 'NAME VALUE'
    throw new UsageError(`-D is "${packet} ${form}"; "${words.join(' ')}" is too short`)
  }
  return { place: place as PropertyPlace, name, value }
}

/** "publish user-property a b c" has the value "b c": the last word goes to the end. */
function splitWords(flag: string): string[] {
  const pattern = /^\S+\s+user-property\s/.test(flag)
    ? /^(\S+)\s+(\S+)\s+(\S+)\s(.*)$/s
    : /^(\S+)\s+(\S+)\s(.*)$/s
  return pattern.exec(flag)?.slice(1) ?? flag.split(/\s+/)
}

function findRule(place: PropertyPlace, name: string): PropertyRule {
  const rule = propertyRules.find((candidate) => spell(candidate) === name)
  if (rule !== undefined && mayStand(rule, place)) return rule
  const here = propertyRules.filter((candidate) => mayStand(candidate, place)).map(spell)
  const trouble = rule === undefined ? 'does not exist' : `does not belong into ${place}`
  throw new UsageError(`The property "${name}" ${trouble}; there are: ${here.join(', ')}`)
}

/** A client sends no Subscription Identifier with a PUBLISH, although the packet may carry one. */
function mayStand({ name, places }: PropertyRule, place: PropertyPlace): boolean {
  return places.includes(place) && !(place === 'publish' && name === 'subscriptionIdentifiers') // [MQTT-3.3.4-6]
}

/** `contentType` is written content-type; the two plurals are singular on the command line. */
function spell({ name }: PropertyRule): string {
  const singular = name.replace(/Properties$/, 'Property').replace(/Identifiers$/, 'Identifier')
  return kebabOf(singular)
}

function nameInClient({ name }: PropertyRule): string {
  return name === 'subscriptionIdentifiers' ? 'subscriptionIdentifier' : name
}

function convert(spelling: string, rule: PropertyRule, written: string): unknown {
  if (rule.type === 'binary' || rule.type === 'string') {
    if (Buffer.byteLength(written) > TWO_BYTE_INTEGER_MAX) {
      throw new UsageError(`The property ${spelling} is longer than ${TWO_BYTE_INTEGER_MAX} bytes`)
    }
    return rule.type === 'string' ? written : Buffer.from(written)
  }
  const max = Math.min(rule.max, LARGEST[rule.type] ?? 0)
  const value = parseWholeNumber(`The property ${spelling}`, written, rule.min, max)
  return rule.type === 'byte' ? value === 1 : value
}
