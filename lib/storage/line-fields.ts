/** Reads the fields of one line of an export, and says in a sentence what is wrong with one. */

import { Buffer } from 'node:buffer'

/** What is wrong with a line, as the end of a sentence: where it stands is known to whoever reads lines. */
export class LineError extends Error {
  override readonly name = 'LineError'
}

type Fields = Readonly<Record<string, unknown>>

const NEVER = 'never'

/** A time as it stands in a line: JSON has no Infinity. */
export function timeField(time: number): number | typeof NEVER {
  return time === Number.POSITIVE_INFINITY ? NEVER : time
}

const FOUND_LENGTH_MAX = 40

export class LineFields {
  readonly #fields: Fields
  readonly #path: string
  readonly #read = new Set<string>()

  /** `path` stands before the names of the fields: `will.`. */
  constructor(fields: Fields, path = '') {
    this.#fields = fields
    this.#path = path
  }

  /** Reads a line as a JSON object. */
  static parse(line: Buffer): LineFields {
    let value: unknown
    try {
      value = JSON.parse(line.toString())
    } catch {
      throw new LineError('it is no JSON')
    }
    if (!isObject(value)) throw new LineError('it is no JSON object')
    return new LineFields(value)
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined
  }

  text(name: string): string {
    const value = this.#take(name)
    return typeof value === 'string' ? value : this.#fail(name, 'a text', value)
  }

  toggle(name: string): boolean {
    const value = this.#take(name)
    return typeof value === 'boolean' ? value : this.#fail(name, 'true or false', value)
  }

  whole(name: string, min: number, max: number): number {
    const value = this.#take(name)
    return isWhole(value, min, max) ? value : this.#fail(name, wholeFrom(min, max), value)
  }

  /** Milliseconds since 1970, or never. */
  time(name: string): number {
    const value = this.#take(name)
    if (value === NEVER) return Number.POSITIVE_INFINITY
    if (isWhole(value, 0, Number.MAX_SAFE_INTEGER)) return value
    return this.#fail(name, `"${NEVER}" or milliseconds since 1970`, value)
  }

  /** Bytes in base64, in memory of their own. */
  bytes(name: string): Buffer {
    const value = this.#take(name)
    if (typeof value !== 'string') return this.#fail(name, 'a text in base64', value)
    const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(value, 'base64'))
    // Node passes over what is no base64, and ends up with less.
    const isWholly = bytes.write(value, 'base64') === bytes.length && value.length % 4 === 0
    return isWholly ? bytes : this.#fail(name, 'a text in base64', value)
  }

  wholes(name: string, min: number, max: number): number[] {
    const value = this.#take(name)
    const isList = Array.isArray(value) && value.every((item) => isWhole(item, min, max))
    return isList ? value : this.#fail(name, `a list, each ${wholeFrom(min, max)}`, value)
  }

  group(name: string): LineFields {
    const value = this.#take(name)
    if (!isObject(value)) return this.#fail(name, 'a group of fields', value)
    return new LineFields(value, `${this.#path}${name}.`)
  }

  groups(name: string): LineFields[] {
    const value = this.#take(name)
    if (!Array.isArray(value)) return this.#fail(name, 'a list', value)
    return value.map((item: unknown, index) => {
      const place = `${name}.${index}`
      if (!isObject(item)) return this.#fail(place, 'a group of fields', item)
      return new LineFields(item, `${this.#path}${place}.`)
    })
  }

  /** Throws if there are fields that nobody has read: something that we would lose. */
  end(): void {
    const unknown = Object.keys(this.#fields).find((name) => !this.#read.has(name))
    if (unknown !== undefined) throw new LineError(`there is no field ${this.#path}${unknown}`)
  }

  #take(name: string): unknown {
    this.#read.add(name)
    return this.#fields[name]
  }

  #fail(name: string, expected: string, found: unknown): never {
    const field = `${this.#path}${name}`
    if (found === undefined) throw new LineError(`${field} is missing`)
    const text = JSON.stringify(found)
    const shown = text.length > FOUND_LENGTH_MAX ? `${text.slice(0, FOUND_LENGTH_MAX)}…` : text
    throw new LineError(`${field} must be ${expected}; found ${shown}`)
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
}

function wholeFrom(min: number, max: number): string {
  return `a whole number from ${min} to ${max}`
}
