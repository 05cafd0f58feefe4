/** Memory as a test sees it: after a forced collection, so that only what is held counts. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
export const collectGarbage: () => void = runInNewContext('gc')

/** Returns the bytes that this thread's heap and its buffers hold. */
export function memoryInUse(): number {
  collectGarbage()
  collectGarbage()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  // `external` includes the array buffers: they count twice, which is on the safe side.
  return heapUsed + external + arrayBuffers
}
