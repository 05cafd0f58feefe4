/** The few kinds of option that `schema.ts` is made of: each takes its bounds, its default and its sentence. */

import * as z from 'zod'

// More than any machine has: bounds that keep mistyped numbers out.
export const BYTES_MAX: number = 1024 ** 4
export const COUNT_MAX = 1_000_000_000

export const PATH_LENGTH_MAX = 4096
export const TEXT_LENGTH_MAX = 1024

export type Integer = z.ZodDefault<z.ZodInt>
export type Toggle = z.ZodDefault<z.ZodBoolean>
export type Choice<T extends string> = z.ZodDefault<z.ZodEnum<{ [K in T]: K }>>

export function integer(min: number, max: number, byDefault: number, sentence: string): Integer {
  return z.int().min(min).max(max).default(byDefault).describe(sentence)
}

export function toggle(byDefault: boolean, sentence: string): Toggle {
  return z.boolean().default(byDefault).describe(sentence)
}

export function choice<const T extends string>(
  values: readonly T[],
  byDefault: NoInfer<T>,
  sentence: string,
): Choice<T> {
  const schema: z.ZodType<T> = z.enum(values) as never
  return schema.default(byDefault as never).describe(sentence) as never
}

/** Text of a certain form; `expected` says which, in errors and in the manual. */
export function textLike(form: RegExp, expected: string): z.ZodString {
  return z.string().regex(form, expected).meta({ expected })
}

/** A name that fits into topics, logs and metrics. */
export function nameText(): z.ZodString {
  return textLike(/^[\w.-]{1,64}$/, '1 to 64 letters, digits, dots, dashes or underscores')
}

/** Text that may be left out. `max` counts UTF-16 units and is there to have a bound. */
export function optionalText(max: number, sentence: string): z.ZodOptional<z.ZodString> {
  return z.string().min(1).max(max).optional().describe(sentence)
}

/** A whole number that may be left out. */
export function optionalInteger(
  min: number,
  max: number,
  sentence: string,
): z.ZodOptional<z.ZodInt> {
  return z.int().min(min).max(max).optional().describe(sentence)
}
