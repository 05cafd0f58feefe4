/** Reads a YAML file and remembers on which line each key stands. */

import { closeSync, openSync, readSync } from 'node:fs'
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
} from 'yaml'
import { type ConfigurationProblem, wrongFile } from './problems.ts'

export interface ConfigurationFile {
  /** As the user wrote it. */
  readonly name: string
  /** What the file says; `undefined` when it says nothing or cannot be read. */
  readonly values: unknown
  readonly problems: readonly ConfigurationProblem[]
  /** Returns the line of a key, or of the nearest group around it that the file has. */
  lineOf(path: readonly PropertyKey[]): FileLine
}

export interface FileLine {
  readonly line: number
  /** Whether the file has the whole path. */
  readonly isExact: boolean
}

/** A larger file is no configuration. */
export const FILE_BYTES_MAX: number = 1024 ** 2

const NOWHERE: FileLine = { line: 1, isExact: false }

/** Reads `name`; whatever is wrong with it is in `problems`, nothing is thrown. */
export function readConfigurationFile(
  name: string,
  readText: (name: string) => string = readBounded,
): ConfigurationFile {
  let text: string
  try {
    text = readText(name)
  } catch (error) {
    const why = explain(error as NodeJS.ErrnoException)
    const problem = wrongFile(name, 'a readable YAML file', why)
    return { name, values: undefined, problems: [problem], lineOf: () => NOWHERE }
  }
  return parseFile(name, text)
}

function parseFile(name: string, text: string): ConfigurationFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const mistakes = [...document.errors, ...document.warnings]
  const problems = mistakes.map((error) =>
    wrongFile(
      `${name}:${lines.linePos(error.pos[0]).line}`,
      'valid YAML',
      `this is not valid YAML: ${sentenceOf(error.message)}`,
    ),
  )
  // A key that stands twice leaves the rest readable, other mistakes of syntax do not.
  const isReadable = document.errors.every(({ code }) => code === 'DUPLICATE_KEY')
  let values: unknown
  try {
    if (isReadable) values = document.toJS()
  } catch (error) {
    // Aliases that multiply beyond yaml's bound, or that name no anchor.
    problems.push(wrongFile(`${name}:1`, 'valid YAML', sentenceOf((error as Error).message)))
  }
  return { name, values, problems, lineOf: (path) => lineOf(document, lines, path) }
}

function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): FileLine {
  let node: unknown = document.contents
  let line = 1
  for (const segment of path) {
    if (isAlias(node)) node = node.resolve(document)
    let position: number | undefined
    if (isMap(node)) {
      // The last one counts if a key stands twice.
      const pair = node.items.findLast(
        ({ key }) => isScalar(key) && String(key.value) === String(segment),
      )
      position = isScalar(pair?.key) ? pair.key.range?.[0] : undefined
      node = pair?.value
    } else if (isSeq(node)) {
      node = node.items[Number(segment)]
      position = isNode(node) ? node.range?.[0] : undefined
    }
    if (position === undefined) return { line, isExact: false }
    line = lines.linePos(position).line
  }
  return { line, isExact: true }
}

function readBounded(name: string): string {
  const descriptor = openSync(name, 'r')
  try {
    const buffer = Buffer.alloc(FILE_BYTES_MAX + 1)
    let length = 0
    for (;;) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null)
      length += read
      if (length > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`)
      if (read === 0) return buffer.toString('utf8', 0, length)
    }
  } finally {
    closeSync(descriptor)
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory; name the file in it',
  ENOTDIR: 'a part of the path is not a directory',
  EACCES: 'permission denied; let the user who runs the broker read it',
  EPERM: 'permission denied; let the user who runs the broker read it',
}

function explain(error: NodeJS.ErrnoException): string {
  return `cannot be read: ${reasons[error.code ?? ''] ?? error.message}`
}

/** yaml's messages may have several lines. */
function sentenceOf(message: string): string {
  return message.replaceAll(/\s+/g, ' ').trim()
}
