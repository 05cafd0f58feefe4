/** Waiting for the event loop instead of for a duration. */

/** Resolves when a turn of the event loop has gone by. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Resolves once `holds`, looked at after every turn; the test's own timeout is the limit. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await nextTurn()
}
