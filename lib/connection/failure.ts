/** What a client is told when something was thrown while one of its packets was handled. */

import { ProtocolError } from '../protocol/errors.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { StoreError } from '../storage/storage.ts'

export interface Failure {
  readonly reasonCode: number
  readonly rule: string
}

/** Undefined for what should not happen: a defect of the broker or its host. */
export function failureBy(error: unknown): Failure | undefined {
  if (error instanceof ProtocolError) return { reasonCode: error.reasonCode, rule: error.message } // [MQTT-4.13.1-1]
  if (!(error instanceof StoreError)) return undefined
  const reasonCode = error.code === 'full' ? ReasonCode.QuotaExceeded : ReasonCode.ServerUnavailable
  return { reasonCode, rule: `the store did not take what was asked: ${error.message}` }
}

export const DEFECT: Failure = {
  reasonCode: ReasonCode.UnspecifiedError,
  rule: 'a defect of the broker',
}
