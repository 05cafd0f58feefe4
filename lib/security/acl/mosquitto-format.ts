/**
 * The acl_file of Mosquitto, as it is:
 *
 * ```
 * topic [read|write|readwrite|deny] FILTER      before the first user: for clients without user name
 * user NAME                                     the topic lines below are for this user
 * pattern [read|write|readwrite|deny] FILTER    for everybody; %u and %c are user and client identifier
 * ```
 *
 * A user's lines are asked before patterns, and in either group those that deny before those that allow.
 */

import { isTopicFilter } from '../../protocol/topics.ts'
import { FileProblem } from '../file-problem.ts'
import type { Action, Rule, RuleClient } from './rules.ts'
import { toLevels } from './topic-sets.ts'

/** What the lines of this format begin with. */
export const mosquittoWords: readonly string[] = ['user', 'topic', 'pattern']

const accesses: Readonly<Record<string, ReadonlySet<Action>>> = {
  read: new Set(['read']),
  write: new Set(['write']),
  readwrite: new Set(['read', 'write']),
  deny: new Set(['read', 'write']),
}

/** Throws a `FileProblem` for the first line that is wrong. */
export function parseMosquittoRules(lines: readonly string[]): Rule[] {
  const topics: Rule[] = []
  const patterns: Rule[] = []
  let userName: string | undefined
  for (const [index, text] of lines.entries()) {
    const line = index + 1
    // Only a # that begins a line begins a comment.
    if (text.startsWith('#') || text.trim() === '') continue
    const [, word = '', rest = ''] = /^\s*(\S+)\s*(.*?)\s*$/s.exec(text) ?? []
    if (word === 'user') {
      if (rest === '') throw new FileProblem(line, 'user without a name')
      userName = rest
    } else if (word === 'topic') {
      topics.push({ ...parseAccess(rest, line), filterFor: topicFilter(rest, userName) })
    } else if (word === 'pattern') {
      patterns.push({ ...parseAccess(rest, line), filterFor: patternFilter(rest) })
    } else {
      throw new FileProblem(line, `${word} is none of user, topic and pattern`)
    }
  }
  return [...deniesFirst(topics), ...deniesFirst(patterns)]
}

function deniesFirst(rules: readonly Rule[]): Rule[] {
  return [...rules.filter(({ isAllow }) => !isAllow), ...rules.filter(({ isAllow }) => isAllow)]
}

type FilterFor = Rule['filterFor']

/** A line is `FILTER`, or `ACCESS FILTER` where the filter may have spaces. */
function splitAccess(rest: string): readonly [access: string, filter: string] {
  const space = rest.search(/\s/)
  return space === -1 ? ['readwrite', rest] : [rest.slice(0, space), rest.slice(space).trim()]
}

function parseAccess(rest: string, line: number): Omit<Rule, 'filterFor'> {
  const [access, filter] = splitAccess(rest)
  const actions = Object.hasOwn(accesses, access) ? accesses[access] : undefined
  if (actions === undefined) {
    throw new FileProblem(line, `${access} is none of read, write, readwrite and deny`)
  }
  if (!isTopicFilter(filter)) throw new FileProblem(line, `"${filter}" is not a Topic Filter`)
  return { line, isAllow: access !== 'deny', actions, qosMin: 0, qosMax: 2, retain: undefined }
}

function topicFilter(rest: string, userName: string | undefined): FilterFor {
  const levels = toLevels(splitAccess(rest)[1])
  return (client) => (client.userName === userName ? levels : undefined)
}

function patternFilter(rest: string): FilterFor {
  const filter = splitAccess(rest)[1]
  const needsUser = filter.includes('%u')
  return (client) => {
    const { userName, clientIdentifier } = client
    // A client whose own name is a wildcard gets nothing from patterns.
    if (hasWildcard(client) || (needsUser && userName === undefined)) return undefined
    return toLevels(
      filter.replaceAll(
        /%[cu]/g,
        (variable) => (variable === '%u' ? userName : clientIdentifier) ?? '',
      ),
    )
  }
}

function hasWildcard({ userName, clientIdentifier }: RuleClient): boolean {
  return /[+#]/.test(userName ?? '') || /[+#]/.test(clientIdentifier)
}
