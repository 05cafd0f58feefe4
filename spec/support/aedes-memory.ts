/** The persistence in memory that Aedes comes with. Its types are those of an ES module, which it is not. */

import { createRequire } from 'node:module'
import type { AedesPersistenceInterface } from '../../lib/storage/aedes-persistence.ts'

export const aedesMemory: () => AedesPersistenceInterface = createRequire(import.meta.url)(
  'aedes-persistence',
)
