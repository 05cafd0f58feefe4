/** Reads what a broker says to Prometheus, as strictly as its format is written: each line is understood, or it throws. */

export interface Family {
  readonly help: string
  readonly type: string
  /** Labels as they are written, `` or `{direction="sent"}` → value. */
  readonly samples: Map<string, number>
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABELS = /^\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"(?:,(?!\}))?)+\}$/
const VALUE = /^(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]\d+)?|Inf)|NaN)$/

/** Metric → what is said of it. `isOpen`: as OpenMetrics, otherwise as text format 0.0.4. */
export function parseExposition(text: string, isOpen = false): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line is not ended')
  const lines = text.slice(0, -1).split('\n')
  if (isOpen && lines.pop() !== '# EOF') throw new Error('it does not end with # EOF')
  const families = new Map<string, Family>()
  for (const [i, line] of lines.entries()) {
    try {
      readLine(families, line, lines[i - 1] ?? '', isOpen)
    } catch (error) {
      throw new Error(`line ${i + 1}, ${JSON.stringify(line)}: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
  return families
}

function readLine(
  families: Map<string, Family>,
  line: string,
  before: string,
  isOpen: boolean,
): void {
  if (line === '' && !isOpen) return
  const help = /^# HELP (\S+) (\S.*)$/.exec(line)
  const type = /^# TYPE (\S+) (counter|gauge)$/.exec(line)
  const last = [...families].at(-1)
  if (help !== null) {
    const [, name = '', sentence = ''] = help
    if (!NAME.test(name)) throw new Error('no name')
    if (families.has(name)) throw new Error('told twice')
    families.set(name, { help: sentence, type: '', samples: new Map() })
  } else if (type !== null) {
    const [, name = '', kind = ''] = type
    if (last?.[0] !== name || !before.startsWith(`# HELP ${name} `)) throw new Error('no HELP')
    families.set(name, { ...last[1], type: kind })
  } else {
    const [, name = '', labels = '', value = ''] = /^([^ {]+)(\{.*\})? (\S+)$/.exec(line) ?? []
    if (!NAME.test(name) || !VALUE.test(value)) throw new Error('no sample')
    if (labels !== '' && !LABELS.test(labels)) throw new Error('wrong labels')
    addSample(last, name, labels, Number(value), isOpen)
  }
}

function addSample(
  [family, { type, samples }]: readonly [string, Family] = ['', noFamily],
  name: string,
  labels: string,
  value: number,
  isOpen: boolean,
): void {
  if (name !== (isOpen && type === 'counter' ? `${family}_total` : family)) {
    throw new Error(`it stands below ${family}`)
  }
  if (type === 'counter' && !(name.endsWith('_total') && value >= 0)) throw new Error('no counter')
  if (samples.has(labels)) throw new Error('said twice')
  samples.set(labels, value)
}

const noFamily: Family = { help: '', type: '', samples: new Map() }
