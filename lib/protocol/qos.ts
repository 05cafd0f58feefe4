/** Quality of Service: what a message gets of what its publisher and its subscriber want. */

import type { Qos } from './packets.ts'

/** Returns the lower of two (section 3.8.4). */
export function lowerQos(one: Qos, other: Qos): Qos {
  return one < other ? one : other
}
