/**
 * Reads which normative statements the code satisfies and which the tests prove, from the tags that both
 * carry: `[MQTT-3.3.1-5]` at the end of a line of lib/, and in the title of a test.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Statement {
  /** `MQTT-3.3.1-5`, or `3.1.1: MQTT-2.3.1-1` for one that only MQTT 3.1.1 makes. */
  readonly number: string
  readonly section: string
  readonly binds: 'client' | 'server' | 'both'
}

export interface Coverage {
  readonly statement: Statement
  /** Files; a leading `~` means: in part. */
  readonly code: readonly string[]
  /** Files. */
  readonly tests: readonly string[]
  /** Why it does not apply to this broker; undefined if it does. */
  readonly notApplicable: string | undefined
}

const TAG = /(~?)\[((?:3\.1\.1: )?MQTT-\d+(?:\.\d+)+-\d+(?:, -\d+)*)\]/g

export interface Tag {
  readonly number: string
  readonly isPartial: boolean
  /** Its file. */
  readonly place: string
  readonly line: string
}

/** Returns every tag below `folder`. `[MQTT-3.3.4-2, -3]` names two statements. */
export function tagsIn(folder: string): Tag[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .toSorted()
  return files.flatMap((path) => tagsOfFile(join(folder, path)))
}

function tagsOfFile(file: string): Tag[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.flatMap((line) =>
    [...line.matchAll(TAG)].flatMap(([, partial, numbers]) =>
      expand(numbers as string).map((number) => ({
        number,
        isPartial: partial === '~',
        place: file,
        line: line.trim(),
      })),
    ),
  )
}

function expand(numbers: string): string[] {
  const [first = '', ...others] = numbers.split(', -')
  const stem = first.slice(0, first.lastIndexOf('-'))
  return [first, ...others.map((last) => `${stem}-${last}`)]
}

/** The statements of MQTT 5.0, in the order of the standard. */
export function readStatements(): Statement[] {
  return rowsOf('spec/conformance/statements-v5.tsv').map(([number, , binds, section]) => ({
    number: number as string,
    binds: binds as Statement['binds'],
    section: section as string,
  }))
}

function readNotApplicable(): Map<string, string> {
  return new Map(
    rowsOf('spec/conformance/not-applicable.tsv').map(([number, because]) => [
      number as string,
      because as string,
    ]),
  )
}

function rowsOf(file: string): string[][] {
  const [, ...rows] = readFileSync(file, 'utf8').trim().split('\n')
  return rows.map((row) => row.split('\t'))
}

/** Brings statements, code and tests together. */
export function readCoverage(): Coverage[] {
  const notApplicable = readNotApplicable()
  const code = tagsIn('lib')
  const tests = tagsIn('spec').filter(({ line }) => !/^(\/\/|\/?\*)/.test(line))
  const known = readStatements()
  const others = [...new Set([...code, ...tests].map(({ number }) => number))]
    .filter((number) => number.startsWith('3.1.1: '))
    .toSorted()
    .map((number): Statement => ({ number, binds: 'both', section: 'MQTT 3.1.1 only' }))
  return [...known, ...others].map((statement) => ({
    statement,
    code: placesOf(code, statement),
    tests: placesOf(tests, statement),
    notApplicable:
      notApplicable.get(statement.number) ??
      (statement.binds === 'client' ? 'binds clients' : undefined),
  }))
}

/** The files in which a statement is tagged, each once. */
function placesOf(tags: readonly Tag[], { number }: Statement): string[] {
  const places = tags
    .filter((tag) => tag.number === number)
    .map(({ place, isPartial }) => (isPartial ? `~${place}` : place))
  return [...new Set(places)]
}

/** What a statement still lacks; undefined: nothing. */
export function lackOf({ statement, code, tests, notApplicable }: Coverage): string | undefined {
  if (notApplicable !== undefined) return undefined
  // One implementation serves all versions: its lines carry the numbers of MQTT 5.0.
  if (statement.number.startsWith('3.1.1: ')) return tests.length === 0 ? 'test' : undefined
  if (code.length === 0 && tests.length === 0) return 'code and test'
  if (code.length === 0) return 'code'
  return tests.length === 0 ? 'test' : undefined
}

/** Writes docs/conformance.md. */
export function conformanceDocument(): string {
  const coverage = readCoverage()
  const applicable = coverage.filter(({ notApplicable }) => notApplicable === undefined)
  const lacking = applicable.filter((entry) => lackOf(entry) !== undefined)
  const rows = coverage.map((entry) => {
    const { statement, notApplicable } = entry
    const place = (places: readonly string[]) => places.map((path) => `\`${path}\``).join('<br>')
    return notApplicable === undefined
      ? `| ${statement.number} | ${place(entry.code)} | ${place(entry.tests)} |`
      : `| ${statement.number} | ${notApplicable} | ${place(entry.tests)} |`
  })
  return [
    '# Conformance',
    '',
    'Each normative statement of MQTT 5.0, and each that only MQTT 3.1.1 makes, with the files that satisfy it',
    'and those that prove it: search them for the number. Made from the tags in code and in the titles of tests by',
    '`npm run generate`; `~` means in part.',
    '',
    `Of ${applicable.length} statements that bind a server, ${applicable.length - lacking.length} have code and test.`,
    '',
    lacking.length === 0
      ? 'Nothing is missing.'
      : `Missing: ${lacking.map((entry) => `${entry.statement.number} (${lackOf(entry)})`).join(', ')}.`,
    '',
    '| statement | code, or why it does not apply | tests |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}
