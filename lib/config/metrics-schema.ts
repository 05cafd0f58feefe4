/** The options of the metrics that Prometheus reads. */

import * as z from 'zod'
import { optionalInteger, optionalText, PATH_LENGTH_MAX, toggle } from './option-kinds.ts'

const HOST = 'Address to serve them on; 0.0.0.0 or :: for all interfaces of the machine.'

export const metrics: z.ZodObject = z.strictObject({
  port: optionalInteger(
    0,
    65_535,
    'Port of http://HOST:PORT/metrics; 0: any free one. Unset: there are no metrics.',
  ),
  host: z.string().min(1).max(255).default('127.0.0.1').describe(HOST),
  tokenFile: optionalText(
    PATH_LENGTH_MAX,
    'A token that whoever reads them has to send (Authorization: Bearer …): a file with nothing else in it. A changed file is in force at once.',
  ),
  allowAnonymous: toggle(
    false,
    'Whether other machines may read them without a token, where there is no tokenFile.',
  ),
})
