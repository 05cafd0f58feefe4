/** From the text of an ACL file to its rules; its first word tells which format it is. */

import { FileProblem } from '../file-problem.ts'
import { mosquittoWords, parseMosquittoRules } from './mosquitto-format.ts'
import { ownWords, parseOwnRules } from './own-format.ts'
import type { Rule } from './rules.ts'

/** Each client is compared with each rule once: more than these would make a reconnecting fleet slow. */
export const RULES_MAX: number = 10_000

/** Whether a text is an acl_file of Mosquitto. */
export function isMosquittoFile(text: string): boolean {
  return mosquittoWords.includes(firstWordOf(text.split(/\r?\n/))?.word ?? '')
}

/** Throws a `FileProblem` for the first line that is wrong. A file without a rule allows nothing. */
export function parseAclFile(text: string): Rule[] {
  const lines = text.split(/\r?\n/)
  const first = firstWordOf(lines)
  if (first === undefined) return []
  const { word, line } = first
  const isMosquitto = mosquittoWords.includes(word)
  if (!isMosquitto && !ownWords.includes(word)) {
    throw new FileProblem(
      line,
      `${word} begins no rule: rules begin with ${ownWords.join(', ')}, in files of Mosquitto with ${mosquittoWords.join(', ')}`,
    )
  }
  const rules = isMosquitto ? parseMosquittoRules(lines) : parseOwnRules(lines)
  if (rules.length <= RULES_MAX) return rules
  throw new FileProblem(0, `it has ${rules.length} rules, at most ${RULES_MAX} are possible`)
}

function firstWordOf(lines: readonly string[]): { word: string; line: number } | undefined {
  const index = lines.findIndex((line) => !/^\s*(#|$)/.test(line))
  return index === -1
    ? undefined
    : { word: lines[index]?.trim().split(/\s/)[0] ?? '', line: index + 1 }
}
