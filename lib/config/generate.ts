/**
 * The files that are made from the schema, as text. `scripts/generate.mjs` writes them, a test asserts that
 * they are fresh.
 */

import { manual } from './generate-manual.ts'
import { types } from './generate-types.ts'
import { defaultYaml } from './generate-yaml.ts'
import { jsonSchema } from './settings.ts'

export interface GeneratedFile {
  /** From the root of the project. */
  readonly path: string
  readonly text: string
}

export function generatedFiles(): GeneratedFile[] {
  return [
    { path: 'config/default.yaml', text: defaultYaml() },
    { path: 'config/noctule.schema.json', text: json(jsonSchema) },
    { path: 'docs/configuration.md', text: manual() },
    { path: 'lib/config/options.ts', text: types() },
  ]
}

const LINE_WIDTH = 100

/** Writes JSON as the formatter does: short lists on one line. */
function json(value: unknown): string {
  const lines = JSON.stringify(value, undefined, 2)
  return `${lines.replaceAll(
    /(?<=\n)(.*)\[\s+([^[\]{}]+?)\s+\]/g,
    (whole, before: string, items: string) => {
      const line = `${before}[${items.replaceAll(/\s*\n\s*/g, ' ')}]`
      return line.length < LINE_WIDTH ? line : whole
    },
  )}\n`
}
