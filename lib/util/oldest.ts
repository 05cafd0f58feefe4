/** Maps with a bound: they keep the order in which entries were set, so that the first is the oldest. */

/**
 * Forgets the oldest entries until there are at most `max`; says whether that was needed. To make an entry the
 * latest, delete it before it is set again.
 */
export function forgetOldest<Key>(entries: Map<Key, unknown>, max: number): boolean {
  if (entries.size <= max) return false
  for (const key of entries.keys()) {
    if (entries.size <= max) break
    entries.delete(key)
  }
  return true
}
