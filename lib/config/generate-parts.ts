/** What the generated files have in common. */

import { listenerTypes, type Setting } from './settings.ts'

const COMMENT_WIDTH = 96

/** Fields of listeners, each with the types that have it in this form. */
export interface Field {
  readonly setting: Setting
  readonly types: string[]
  /** By type, since ports differ. */
  readonly defaults: Map<string, unknown>
}

/** Returns the fields of all types of listener, each once. */
export function listenerFields(): Field[] {
  const fields = new Map<string, Field>()
  for (const [type, settings] of listenerTypes) {
    for (const setting of settings) {
      const id = `${setting.key} ${setting.sentence}`
      const field = fields.get(id) ?? emptyField(setting)
      field.types.push(type)
      field.defaults.set(type, setting.default)
      fields.set(id, field)
    }
  }
  return [...fields.values()]
}

function emptyField(setting: Setting): Field {
  return { setting, types: [], defaults: new Map() }
}

/** Breaks `text` into lines that begin with `#`. */
export function comment(text: string, indent: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.trim().split(' ')) {
    if (line !== '' && indent.length + 2 + line.length + 1 + word.length > COMMENT_WIDTH) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((one) => `${indent}# ${one}`)
}

/** Returns the default of a listener's field in words, with its types where they differ. */
export function describeDefaults(
  defaults: ReadonlyMap<string, unknown>,
  setting: Setting,
  show: (value: unknown) => string,
): string {
  if (setting.isRequired) return 'required'
  const values = new Set([...defaults.values()].map((value) => JSON.stringify(value)))
  if (values.size === 1) return setting.default === undefined ? 'unset' : show(setting.default)
  return [...defaults].map(([type, value]) => `${type} ${show(value)}`).join(', ')
}
