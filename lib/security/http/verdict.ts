/** What a service may answer, and what is made of it. */

import type { Grant } from '../access.ts'
import { parseClientAcl } from '../client-acl.ts'
import type { HttpAnswer } from './http-client.ts'

export type Verdict =
  | ({ readonly kind: 'allow' } & Grant)
  | { readonly kind: 'deny'; readonly reason: string | undefined }
  /** The next is asked who could know. */
  | { readonly kind: 'ignore' }

/** The service is well, and does not take this question: another one it may. */
export class QuestionRefused extends Error {}

/** These are about the service: it is busy. */
const BUSY: ReadonlySet<number> = new Set([408, 429])

// In milliseconds, as many programs count, it would be thousands of years.
const SECONDS_MAX = 1e11

/** Throws an `Error` that says what is wrong with an answer that is none, `QuestionRefused` if that is the question. */
export function verdictOf({ status, body }: HttpAnswer): Verdict {
  switch (status) {
    case 200:
      return verdictIn(body)
    case 204:
      return { kind: 'allow' }
    case 401:
    case 403:
      return { kind: 'deny', reason: undefined }
    case 404:
      return { kind: 'ignore' }
    default: {
      const isRefused = status >= 400 && status < 500 && !BUSY.has(status)
      throw new (isRefused ? QuestionRefused : Error)(`it answered with status ${status}`)
    }
  }
}

function verdictIn(body: string): Verdict {
  const { result, reason, userName, expiresAt, acl } = parse(body)
  switch (result) {
    case 'allow':
      return { kind: 'allow', ...userNameIn(userName), ...expiryIn(expiresAt), ...aclIn(acl) }
    case 'deny':
      return { kind: 'deny', reason: typeof reason === 'string' ? reason : undefined }
    case 'ignore':
      return { kind: 'ignore' }
    default:
      throw new Error('its answer has no result that is allow, deny or ignore')
  }
}

function parse(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw new Error('its answer is no JSON object')
}

function userNameIn(value: unknown): Grant {
  if (value === undefined || value === null) return {}
  if (typeof value === 'string' && value !== '') return { userName: value }
  throw new Error('the userName in its answer is no text')
}

function expiryIn(value: unknown): Grant {
  if (value === undefined || value === null) return {}
  if (typeof value === 'number' && value < SECONDS_MAX) return { expiresAt: value * 1000 }
  throw new Error('the expiresAt in its answer is not in seconds since 1970')
}

function aclIn(value: unknown): Grant {
  if (value === undefined || value === null) return {}
  try {
    parseClientAcl(value)
    return { acl: value }
  } catch (error) {
    throw new Error(`the acl in its answer cannot be used: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
