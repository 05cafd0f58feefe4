/**
 * Our ACL files: a rule a line, `allow|deny ACTIONS FILTER CONDITION…`, and `role NAME = USER, …`.
 * docs/security.md describes them.
 */

import { isTopicFilter } from '../../protocol/topics.ts'
import { didYouMean } from '../../util/nearest.ts'
import { FileProblem } from '../file-problem.ts'
import { parseConditions, type Roles } from './conditions.ts'
import type { Action, Rule, RuleClient } from './rules.ts'
import { type Levels, toLevels } from './topic-sets.ts'
import { listOf, plainWord, wordsOf } from './words.ts'

/** What the lines of our format begin with. */
export const ownWords: readonly string[] = ['allow', 'deny', 'role']

const ROLE = /^role\s+([\w.-]+)\s*=\s*(.+)$/
const VARIABLE = /%(cn|dns|email|u|c)/g
const allActions: readonly Action[] = ['read', 'write', 'subscribe']

/** Throws a `FileProblem` for the first line that is wrong. */
export function parseOwnRules(lines: readonly string[]): Rule[] {
  const roles = parseRoles(lines)
  return lines.flatMap((line, index) => {
    const text = line.trim()
    if (text === '' || text.startsWith('#') || isRole(text)) return []
    try {
      return parseRule(text, index + 1, roles)
    } catch (error) {
      throw new FileProblem(index + 1, (error as Error).message)
    }
  })
}

/** Roles may be used before they are written. */
function parseRoles(lines: readonly string[]): Roles {
  const roles = new Map<string, Set<string>>()
  for (const [index, line] of lines.entries()) {
    const text = line.trim()
    if (!isRole(text)) continue
    const [, name = '', list = ''] = ROLE.exec(text) ?? []
    const users = listOf(list)
    if (users === undefined) throw new FileProblem(index + 1, 'not role NAME = USER, USER')
    if (roles.has(name)) throw new FileProblem(index + 1, `role ${name} stands there twice`)
    roles.set(name, new Set(users))
  }
  return roles
}

function isRole(text: string): boolean {
  return /^role\s/.test(text)
}

function parseRule(text: string, line: number, roles: Roles): Rule {
  const words = wordsOf(text)
  if (words === undefined) throw new Error('a quote is not closed')
  const [verb = '', actionList, filterWord, ...rest] = words
  if (verb !== 'allow' && verb !== 'deny') {
    throw new Error(`a rule begins with allow or deny${didYouMean(verb, ownWords)}`)
  }
  if (actionList === undefined || filterWord === undefined) {
    throw new Error(`not ${verb} ACTIONS FILTER, such as ${verb} read sensors/#`)
  }
  const actions = parseActions(actionList)
  const filter = plainWord(filterWord)
  if (!isTopicFilter(filter)) throw new Error(`${filter} is not a Topic Filter`)
  const { applies, ...conditions } = parseConditions(rest, roles)
  if (conditions.retain !== undefined && (actions.size > 1 || !actions.has('write'))) {
    throw new Error('retain= is about publishing: it goes with write alone')
  }
  const isAllow = verb === 'allow'
  const resolve = filterFrom(filter, isAllow)
  const filterFor = (client: RuleClient) => (applies(client) ? resolve(client) : undefined)
  return { line, isAllow, actions, filterFor, ...conditions }
}

function parseActions(list: string): ReadonlySet<Action> {
  const actions = new Set<Action>()
  for (const word of list.split(',')) {
    const action = allActions.find((each) => each === word)
    if (action !== undefined) actions.add(action)
    else if (word === 'all') for (const each of allActions) actions.add(each)
    else {
      const hint = didYouMean(word, [...allActions, 'all'])
      throw new Error(`${word} is none of read, write, subscribe and all${hint}`)
    }
  }
  return actions
}

/** Puts a client's own names in. Without variables the filter is the same for all, and made once. */
function filterFrom(filter: string, isAllow: boolean): (client: RuleClient) => Levels | undefined {
  if (filter.search(VARIABLE) === -1) {
    const levels = toLevels(filter)
    return () => levels
  }
  return (client) => {
    let isUsable = true
    const levels = filter.split('/').map((level, index) => {
      let isOwn = true
      const own = level.replaceAll(VARIABLE, (_, variable: string) => {
        const value = valueOf(variable, client)
        isOwn &&= isOneLevel(value)
        return value ?? ''
      })
      // A client must not come to $SYS by calling itself so.
      const isReserved = index === 0 && own.startsWith('$') && !level.startsWith('$')
      isUsable &&= isOwn && !isReserved
      return isOwn ? own : '+'
    })
    // A name that would be more than a level allows nothing, and denies whatever it could have been.
    if (!isUsable && isAllow) return undefined
    return toLevels(levels.join('/'))
  }
}

function valueOf(variable: string, client: RuleClient): string | undefined {
  switch (variable) {
    case 'u':
      return client.userName
    case 'c':
      return client.clientIdentifier
    case 'dns':
      return client.certificate?.dnsNames[0]
    case 'email':
      return client.certificate?.emailAddresses[0]
    default:
      return client.certificateCommonName
  }
}

function isOneLevel(value: string | undefined): boolean {
  return value !== undefined && value !== '' && !/[+#/]/.test(value)
}
