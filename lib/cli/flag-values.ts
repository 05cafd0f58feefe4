/**
 * The kinds of flags a client command has. Each turns the text of the command line into its value, or
 * throws one sentence. yargs collects a flag given twice into a list: only lists may be given twice.
 */

import type { Options } from 'yargs'
import { UsageError } from './failures.ts'

type Details = Omit<Options, 'type' | 'coerce'>

/** A flag without value. */
export function toggle(details: Details): Options {
  return { ...details, type: 'boolean' }
}

export function text(flag: string, details: Details): Options {
  return { ...details, type: 'string', coerce: (value: unknown) => single(flag, value) }
}

/** A flag that may be given several times. */
export function list(details: Details): Options {
  return {
    ...details,
    type: 'string',
    coerce: (value: string | string[]) => (Array.isArray(value) ? value : [value]),
  }
}

export function wholeNumber(flag: string, min: number, max: number, details: Details): Options {
  const parse = (value: unknown) =>
    parseWholeNumber(flag, String(singleNumber(flag, value)), min, max)
  return { ...details, type: 'number', coerce: parse }
}

/** Seconds, with fractions. */
export function seconds(flag: string, max: number, details: Details): Options {
  const parse = (value: unknown) => {
    const duration = singleNumber(flag, value)
    if (duration >= 0 && duration <= max) return duration
    throw new UsageError(`${flag} takes seconds from 0 to ${max}`)
  }
  return { ...details, type: 'number', coerce: parse }
}

/** A flag with few values, some of which may have several spellings. */
export function oneOf(
  flag: string,
  values: Readonly<Record<string, unknown>>,
  details: Details,
): Options {
  const parse = (value: unknown) => {
    const written = single(flag, value)
    if (Object.hasOwn(values, written)) return values[written]
    throw new UsageError(`${flag} is one of ${Object.keys(values).join(', ')}, not "${written}"`)
  }
  return { ...details, type: 'string', coerce: parse }
}

export function parseWholeNumber(flag: string, written: string, min: number, max: number): number {
  const value = Number(written)
  if (/^\d+$/.test(written) && value >= min && value <= max) return value
  throw new UsageError(`${flag} takes a whole number from ${min} to ${max}`)
}

/** yargs makes NaN of what is no number, and undefined of nothing. */
function singleNumber(flag: string, value: unknown): number {
  if (Array.isArray(value)) throw new UsageError(`${flag} was given twice; it has one value`)
  return typeof value === 'number' ? value : Number.NaN
}

function single(flag: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new UsageError(`${flag} was given twice; it has one value`)
}
