/** `config/default.yaml`: every option with its default and its sentence. */

import { stringify } from 'yaml'
import { comment, describeDefaults, type Field, listenerFields } from './generate-parts.ts'
import {
  defaultListeners,
  fieldOf,
  listenersSentence,
  type Room,
  rooms,
  type Setting,
} from './settings.ts'

export function defaultYaml(): string {
  const listeners = [
    ...comment(`${listenersSentence} The fields, with their types and default:`, ''),
    '#',
    ...listenerFields().flatMap(fieldLines),
    stringify({ listeners: defaultListeners }).trimEnd(),
  ]
  return `${[
    '# yaml-language-server: $schema=./noctule.schema.json',
    '#',
    '# Every option of Noctule with its default, made from the schema by `npm run generate`.',
    '# A file of your own needs only what differs. NOCTULE_SESSION_QUEUE_MESSAGES_MAX in the environment and',
    '# --session.queueMessagesMax on the command line win over `queueMessagesMax` below `session` in a file.',
    '',
    ...listeners,
    ...rooms.flatMap(roomLines),
  ].join('\n')}\n`
}

function roomLines({ name, sentence, settings }: Room): string[] {
  const words = name.split('.')
  const indent = '  '.repeat(words.length - 1)
  const inner = `${indent}  `
  return [
    '',
    ...comment(sentence, indent),
    `${indent}${words.at(-1)}:`,
    ...settings.flatMap((setting) => settingLines(setting, inner)),
  ]
}

function settingLines(setting: Setting, indent: string): string[] {
  const line =
    setting.default === undefined
      ? `${indent}# ${fieldOf(setting)}:`
      : `${indent}${stringify({ [fieldOf(setting)]: setting.default }).trimEnd()}`
  return [...comment(`${setting.sentence} ${rangeSentence(setting)}`, indent), line]
}

function fieldLines({ setting, types, defaults }: Field): string[] {
  const value = describeDefaults(defaults, setting, (one) => JSON.stringify(one))
  const text = `${setting.key} (${types.join(', ')}; ${value}): ${setting.sentence}`
  return comment(text, '').map((line, i) => (i === 0 ? line : line.replace('# ', '#   ')))
}

function rangeSentence(setting: Setting): string {
  const needsNone = setting.kind === 'boolean' || setting.kind === 'text'
  if (needsNone) return setting.default === undefined ? 'Unset by default.' : ''
  return `${setting.expected.charAt(0).toUpperCase()}${setting.expected.slice(1)}.`
}
