/** `docs/configuration.md`: the tables of all options. */

import { stringify } from 'yaml'
import { describeDefaults, type Field, listenerFields } from './generate-parts.ts'
import {
  defaultListeners,
  environmentName,
  listenersSentence,
  listenerTypes,
  type Room,
  rooms,
  type Setting,
} from './settings.ts'

export function manual(): string {
  return `${[
    '# Configuration',
    '',
    '<!-- Made from lib/config/schema.ts by `npm run generate`: change it there. -->',
    '',
    'Options come from a YAML file, the environment and the command line. A flag wins over a variable, a',
    'variable over the file, the file over the default. `noctule config check --config FILE` reports all',
    'mistakes at once; `noctule config show --config FILE` prints every value and where it came from.',
    '',
    '- As a flag: `--session.queueMessagesMax 5000`.',
    '- In the environment: `NOCTULE_SESSION_QUEUE_MESSAGES_MAX=5000`. Lists and groups are YAML or JSON',
    "  text: `NOCTULE_LISTENERS='[{ type: tcp, port: 1883 }]'`. An empty variable counts as unset.",
    '- In a file: `queueMessagesMax: 5000` below `session:`. [default.yaml](../config/default.yaml) has every',
    '  option; editors that know JSON Schema can use [noctule.schema.json](../config/noctule.schema.json).',
    '',
    '## listeners',
    '',
    `${listenersSentence} The first one's port is`,
    '`NOCTULE_LISTENERS_0_PORT` in the environment and `--listeners.0.port` as a flag. By default there are',
    'two, which only this machine can reach:',
    '',
    '```yaml',
    stringify({ listeners: defaultListeners }).trimEnd(),
    '```',
    '',
    ...table([
      ['Key', 'Types', 'Default', 'Range', 'What it does'],
      ...listenerFields().map(fieldRow),
    ]),
    ...rooms.flatMap(roomTable),
  ].join('\n')}\n`
}

function roomTable(room: Room): string[] {
  return [
    '',
    `## ${room.name}`,
    '',
    room.sentence,
    '',
    ...table([
      ['Key', 'Default', 'Range', 'What it does', 'Environment'],
      ...room.settings.map(settingRow),
    ]),
  ]
}

function settingRow(setting: Setting): string[] {
  return [
    code(setting.key),
    setting.default === undefined ? 'unset' : code(setting.default),
    setting.expected,
    setting.sentence,
    code(environmentName(setting.key)),
  ]
}

function fieldRow({ setting, types, defaults }: Field): string[] {
  const isEverywhere = types.length === listenerTypes.size
  return [
    code(setting.key),
    isEverywhere ? 'all' : types.join(', '),
    describeDefaults(defaults, setting, code),
    setting.expected,
    setting.sentence,
  ]
}

/** Aligns the columns, as the formatter does. The first row is the head. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? []
  const lines = rows.map(
    (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`,
  )
  const [head = '', ...body] = lines
  return [head, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body]
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}
