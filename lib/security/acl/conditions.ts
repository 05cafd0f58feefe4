/** To whom a rule of our format applies: `user=alice,bob`, `address=10.0.0.0/8`, and the rest of them. */

import type { Qos } from '../../protocol/packets.ts'
import { parseAddressRange } from '../../util/address.ts'
import { didYouMean } from '../../util/nearest.ts'
import type { RuleClient } from './rules.ts'
import { listOf } from './words.ts'

type Test = (client: RuleClient) => boolean

/** Role → its users. */
export type Roles = ReadonlyMap<string, ReadonlySet<string>>

export interface Conditions {
  readonly applies: Test
  readonly qosMin: Qos
  readonly qosMax: Qos
  readonly retain: boolean | undefined
}

const keys = [
  'user',
  'role',
  'client',
  'address',
  'listener',
  'cn',
  'dns',
  'email',
  'uri',
  'qos',
  'retain',
  'anonymous',
]

/** Understands the words behind the filter of a rule. Throws an `Error` that says what is wrong. */
export function parseConditions(words: readonly string[], roles: Roles): Conditions {
  const tests: Test[] = []
  const seen = new Set<string>()
  let range: readonly [Qos, Qos] = [0, 2]
  let retain: boolean | undefined
  for (const word of words) {
    const [, key = word, operator = '', value = ''] = /^(\w+)(<=|>=|=)(.+)$/s.exec(word) ?? []
    if (!keys.includes(key) || (key === 'anonymous') !== (operator === '')) throw unknown(word, key)
    if (seen.has(key)) throw new Error(`${key} stands there twice: commas separate several`)
    seen.add(key)
    if (key === 'qos') range = parseQos(operator, value)
    else if (operator !== '=' && operator !== '') throw unknown(word, key)
    else if (key === 'retain') retain = parseRetain(value)
    else tests.push(testOf(key, value, roles))
  }
  const [qosMin, qosMax] = range
  return { applies: (client) => tests.every((test) => test(client)), qosMin, qosMax, retain }
}

function testOf(key: string, value: string, roles: Roles): Test {
  if (key === 'anonymous') return ({ userName }) => userName === undefined
  const values = listOf(value)
  if (values === undefined) throw new Error(`${key}=… wants values with commas between them`)
  switch (key) {
    case 'user':
      return textTest(values, ({ userName }) => userName)
    case 'client':
      return textTest(values, ({ clientIdentifier }) => clientIdentifier)
    case 'listener':
      return textTest(values, ({ listener }) => listener)
    case 'cn':
      return textTest(values, ({ certificateCommonName }) => certificateCommonName)
    case 'dns':
      return anyTest(values, ({ certificate }) => certificate?.dnsNames)
    case 'email':
      return anyTest(values, ({ certificate }) => certificate?.emailAddresses)
    case 'uri':
      return anyTest(values, ({ certificate }) => certificate?.uris)
    case 'role':
      return roleTest(values, roles)
    default:
      return addressTest(values)
  }
}

/** `gw-*`: all that begin so; `*`: all that have one. */
function textTest(
  values: readonly string[],
  field: (client: RuleClient) => string | undefined,
): Test {
  const matches = textMatcher(values)
  return (client) => {
    const text = field(client)
    return text !== undefined && matches(text)
  }
}

/** For what a client may have several of. */
function anyTest(
  values: readonly string[],
  field: (client: RuleClient) => readonly string[] | undefined,
): Test {
  const matches = textMatcher(values)
  return (client) => field(client)?.some(matches) ?? false
}

function textMatcher(values: readonly string[]): (text: string) => boolean {
  const exact = new Set(values.filter((value) => !value.endsWith('*')))
  const beginnings = values.flatMap((value) => (value.endsWith('*') ? value.slice(0, -1) : []))
  return (text) => exact.has(text) || beginnings.some((beginning) => text.startsWith(beginning))
}

function roleTest(names: readonly string[], roles: Roles): Test {
  const members = names.map((name) => {
    const users = roles.get(name)
    if (users !== undefined) return users
    throw new Error(`there is no role ${name}${didYouMean(name, [...roles.keys()])}`)
  })
  return ({ userName }) => userName !== undefined && members.some((users) => users.has(userName))
}

function addressTest(written: readonly string[]): Test {
  const ranges = written.map((each) => {
    const range = parseAddressRange(each)
    if (range !== undefined) return range
    throw new Error(`${each} is neither an IP address nor a range such as 10.0.0.0/8`)
  })
  return ({ address }) => ranges.some((range) => range.has(address))
}

function parseQos(operator: string, value: string): readonly [Qos, Qos] {
  if (!/^[012]$/.test(value)) throw new Error('qos wants 0, 1 or 2')
  const qos = Number(value) as Qos
  if (operator === '<=') return [0, qos]
  return operator === '>=' ? [qos, 2] : [qos, qos]
}

function parseRetain(value: string): boolean {
  if (value !== 'yes' && value !== 'no') throw new Error('retain wants yes or no')
  return value === 'yes'
}

function unknown(word: string, key: string): Error {
  const hint = keys.includes(key) ? '' : didYouMean(key, keys)
  return new Error(
    `${word} is no condition${hint} (user=, role=, client=, address=, listener=, cn=, dns=, email=, uri=, anonymous, qos<=, retain=)`,
  )
}
