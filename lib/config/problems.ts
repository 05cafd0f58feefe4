/** What may be wrong with a configuration, said so that one can mend it. */

/** One mistake. All texts are ready to be shown. */
export interface ConfigurationProblem {
  /** `noctule.yaml:12`, `env NOCTULE_LOG_LEVEL`, `flag --log.level`, or `options` of the host program. */
  readonly where: string
  /** `session.queueMessagesMax`; empty when the mistake is not about one key. */
  readonly key: string
  readonly expected: string
  readonly found: string
  /** The known key that was probably meant. */
  readonly nearest: string | undefined
  /** All of it in one line. */
  readonly message: string
}

/** A configuration cannot be used. `problems` has every mistake, `message` a line for each. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly problems: readonly ConfigurationProblem[]

  constructor(problems: readonly ConfigurationProblem[]) {
    const lines = problems.map(({ message }) => message)
    const heading = `The configuration has ${lines.length} mistakes:`
    super(lines.length === 1 ? lines[0] : [heading, ...lines].join('\n  '))
    this.problems = problems
  }
}

export function wrongValue(
  where: string,
  key: string,
  expected: string,
  value: unknown,
): ConfigurationProblem {
  const found = describeValue(value)
  const message = `${where}: ${key} must be ${expected}; found ${found}`
  return { where, key, expected, found, nearest: undefined, message }
}

/** `hint` is what else can be said when no known key is near. */
export function unknownKey(
  where: string,
  key: string,
  nearest: string | undefined,
  hint = '',
): ConfigurationProblem {
  const shown = showable(key)
  const suggestion = nearest === undefined ? hint : `; did you mean ${nearest}?`
  const message = `${where}: there is no option ${shown}${suggestion}`
  return { where, key: shown, expected: 'a known option', found: shown, nearest, message }
}

/** A mistake that concerns the file as a whole, or its syntax. */
export function wrongFile(where: string, expected: string, found: string): ConfigurationProblem {
  const message = `${where}: ${found}`
  return { where, key: '', expected, found, nearest: undefined, message }
}

// Enough to recognise the value; a certificate pasted into the wrong place is not printed.
const SHOWN_MAX = 60

/** Returns a value as one would write it, on one line and not too long. */
function describeValue(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object') return 'a group of keys'
  if (typeof value === 'string') return showable(JSON.stringify(value))
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return `a ${typeof value}`
}

function showable(text: string): string {
  const short = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
  return short.replaceAll(/\p{C}/gu, '?')
}
