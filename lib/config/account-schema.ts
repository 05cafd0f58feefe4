/** Options of `security` for accounts that several brokers share, and for SCRAM. */

import * as z from 'zod'
import { COUNT_MAX, type Integer, integer, TEXT_LENGTH_MAX } from './option-kinds.ts'
import { isRedis, keyPrefix, REDIS } from './store-urls.ts'

type ScramMethods = z.ZodEnum<{
  'SCRAM-SHA-256': 'SCRAM-SHA-256'
  'SCRAM-SHA-512': 'SCRAM-SHA-512'
}>

interface AccountOptions {
  readonly redisUrl: z.ZodOptional<z.ZodString>
  readonly redisKeyPrefix: z.ZodDefault<z.ZodString>
  readonly redisTimeoutMs: Integer
  readonly redisUsersMax: Integer
  readonly scram: z.ZodDefault<z.ZodArray<ScramMethods>>
}

export const accountOptions: AccountOptions = {
  redisUrl: z
    .string()
    .max(TEXT_LENGTH_MAX)
    .refine(isRedis, REDIS)
    .optional()
    .meta({ expected: REDIS })
    .describe(
      'Users, roles and their rules that several brokers share: a Redis, as in `store.url`, that `noctule user`, `noctule role` and `noctule acl` write to with --redis. A change is in force at once on all of them.',
    ),
  redisKeyPrefix: keyPrefix()
    .default('noctule:')
    .describe('What the names of their keys begin with: others may share the Redis.'),
  redisTimeoutMs: integer(
    100,
    60_000,
    2000,
    'How long a client waits for an answer about its account; then it is refused (0x88).',
  ),
  redisUsersMax: integer(
    1,
    COUNT_MAX,
    100_000,
    'How many accounts are kept in memory, those of connected clients among them: these go on while Redis is away.',
  ),
  scram: z
    .array(z.enum(['SCRAM-SHA-256', 'SCRAM-SHA-512']))
    .default([])
    .meta({ expected: 'a list of SCRAM-SHA-256, SCRAM-SHA-512' })
    .describe(
      'Authentication Methods by which MQTT 5.0 clients prove that they know their password without sending it: for users that `noctule user add --scram` made.',
    ),
}
