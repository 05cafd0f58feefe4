import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import test from 'ava'
import { conformanceDocument, lackOf, readCoverage } from './support/conformance.ts'

/** The house from the ground up: a file may import from its own room or a lower floor. */
const floors = [
  ['protocol', 'util'],
  ['transport', 'codec', 'config'],
  ['storage'],
  ['retained', 'security'],
  ['router'],
  ['session'],
  ['connection'],
  ['monitor'],
  ['broker'],
  ['cli', 'index.ts'],
  ['cli.ts'],
]

const LINES_MAX = 400

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join(folder, path))
}

/** The room of a file: the folder below lib, or the file itself if it stands at the top. */
function roomOf(file: string): string {
  return relative('lib', file).split('/')[0] as string
}

function floorOf(file: string): number {
  return floors.findIndex((rooms) => rooms.includes(roomOf(file)))
}

function mayImport(file: string, target: string): boolean {
  return roomOf(file) === roomOf(target) || floorOf(target) < floorOf(file)
}

function relativeImports(file: string): string[] {
  const source = readFileSync(file, 'utf8')
  return [...source.matchAll(/from '(\.{1,2}\/[^']+)'/g)].map(([, path]) =>
    join(dirname(file), path as string),
  )
}

const library = sourceFiles('lib')

test('every room has its floor', (t) => {
  t.deepEqual(
    library.filter((file) => floorOf(file) === -1),
    [],
  )
})

for (const file of library) {
  test(`${file} imports only from its own room or a lower floor`, (t) => {
    t.deepEqual(
      relativeImports(file).filter((target) => !mayImport(file, target)),
      [],
    )
  })
}

test('every import names a file that exists', (t) => {
  const missing = library.flatMap((file) =>
    relativeImports(file).filter((path) => !existsSync(path)),
  )
  t.deepEqual(missing, [])
})

/** Written by `npm run generate`: nobody has to read them in one go. */
const generated = new Set(['lib/config/options.ts'])

test(`no file has more than ${LINES_MAX} lines`, (t) => {
  const lengthOf = (file: string) => readFileSync(file, 'utf8').split('\n').length
  t.deepEqual(
    library.filter((file) => !generated.has(file) && lengthOf(file) > LINES_MAX),
    [],
  )
})

test('every file begins with what lives in it', (t) => {
  const begins = (file: string) => /^(#!.*\n)?\/\*\*/.test(readFileSync(file, 'utf8'))
  t.deepEqual(
    library.filter((file) => !begins(file)),
    [],
  )
})

test('no test is left alone, skipped or expected to fail', (t) => {
  const marked = sourceFiles('spec').filter((file) =>
    /\btest\.(serial\.)?(only|skip|failing|todo)\b/.test(
      readFileSync(file, 'utf8').replaceAll(/\/.*\/\.test.*/g, ''),
    ),
  )
  t.deepEqual(marked, [])
})

test('every normative statement that binds a server has its line and its test', (t) => {
  const lacking = readCoverage()
    .map((entry) => [entry.statement.number, lackOf(entry)])
    .filter(([, lack]) => lack !== undefined)
  t.deepEqual(lacking, [])
})

test('docs/conformance.md is fresh: npm run generate', (t) => {
  t.is(readFileSync('docs/conformance.md', 'utf8'), conformanceDocument())
})
