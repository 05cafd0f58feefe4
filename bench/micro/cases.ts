/** All that is measured piece by piece. */

import { decodeCases } from './decode.ts'
import { encodeCases } from './encode.ts'
import type { MicroCase } from './harness.ts'
import { matchCases } from './match.ts'
import { outboxCases } from './outbox.ts'

export const microCases: readonly MicroCase[] = [
  ...decodeCases,
  ...encodeCases,
  ...matchCases,
  ...outboxCases,
]
