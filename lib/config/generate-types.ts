/** `lib/config/options.ts`: the types of all options, with their sentences for editors. */

import { comment } from './generate-parts.ts'
import { fieldOf, listenersSentence, listenerTypes, rooms, type Setting } from './settings.ts'

const LINE_WIDTH = 100

export function types(): string {
  const listeners = [...listenerTypes].map(([type, settings]) =>
    interfaceText(`${capital(type)}ListenerConfiguration`, `A listener of type ${type}.`, [
      `  readonly type: '${type}'`,
      ...settings.flatMap(fieldTypeLines),
    ]),
  )
  const names = [...listenerTypes.keys()].map((type) => `${capital(type)}ListenerConfiguration`)
  const roomTexts = rooms.map((room) =>
    interfaceText(typeNameOf(room.name), room.sentence, [
      ...room.settings.flatMap(fieldTypeLines),
      ...groupLines(`${room.name}.`),
    ]),
  )
  const whole = interfaceText(
    'BrokerConfiguration',
    'Every option of a broker, checked and complete.',
    [
      `  /** ${listenersSentence} */`,
      '  readonly listeners: readonly ListenerConfiguration[]',
      ...groupLines(''),
    ],
  )
  return `${[
    '/** The types of all options. Made from `schema.ts` by `npm run generate`: change them there. */',
    ...listeners,
    `export type ListenerConfiguration =\n${names.map((name) => `  | ${name}`).join('\n')}`,
    ...roomTexts,
    whole,
  ].join('\n\n')}\n`
}

/** The groups right below one. */
function groupLines(prefix: string): string[] {
  const below = rooms.filter(({ name }) => /^\w+$/.test(withoutPrefix(name, prefix)))
  return below.map(({ name }) => `  readonly ${withoutPrefix(name, prefix)}: ${typeNameOf(name)}`)
}

function withoutPrefix(name: string, prefix: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : ''
}

function typeNameOf(room: string): string {
  return `${room.split('.').map(capital).join('')}Configuration`
}

function interfaceText(name: string, sentence: string, lines: readonly string[]): string {
  return `/** ${sentence} */\nexport interface ${name} {\n${lines.join('\n')}\n}`
}

function fieldTypeLines(setting: Setting): string[] {
  const byDefault = setting.isRequired
    ? 'Required.'
    : `Default: ${setting.default === undefined ? 'unset' : JSON.stringify(setting.default)}.`
  const lines = comment(`${setting.sentence} ${byDefault}`, '  ')
  const docs = lines.map((line) => line.replace('  # ', '   * '))
  const [only = ''] = lines
  const doc =
    lines.length === 1 ? [only.replace('# ', '/** ').concat(' */')] : ['  /**', ...docs, '   */']
  const line = `  readonly ${fieldOf(setting)}: ${typeOf(setting)}`
  // The formatter breaks a union that does not fit.
  const broken =
    line.length <= LINE_WIDTH
      ? line
      : line.replaceAll(/(: | \| )'/g, (_, at) => `${at === ': ' ? ':' : ''}\n    | '`)
  return [...doc, broken]
}

function typeOf(setting: Setting): string {
  // Every listener gets a name when the configuration is made.
  const isAlwaysThere =
    setting.isRequired || setting.default !== undefined || setting.key === 'name'
  return isAlwaysThere ? valueTypeOf(setting) : `${valueTypeOf(setting)} | undefined`
}

function valueTypeOf({ kind, choices }: Setting): string {
  if (kind === 'integer') return 'number'
  if (kind === 'boolean') return 'boolean'
  if (kind === 'list') return 'readonly string[]'
  if (kind === 'text') return 'string'
  const literals = choices.map((one) => (typeof one === 'string' ? `'${one}'` : String(one)))
  return literals.join(' | ')
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}
