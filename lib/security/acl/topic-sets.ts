/**
 * Topic Filters as sets of Topic Names: what one has in common with another, and whether some of them
 * together have all that one has. Pure functions; `#` and `+` at the beginning match no topic that begins
 * with `$` [MQTT-4.7.2-1].
 */

/** A Topic Filter or a Topic Name, level by level; made by `toLevels`. */
export type Levels = readonly string[]

/**
 * An empty text is no Topic Name, so a lone `#` matches what `+/#` matches, and `/#` what `/+/#` matches:
 * two cases less.
 */
export function toLevels(topicFilter: string): Levels {
  if (topicFilter === '#') return ['+', '#']
  return topicFilter === '/#' ? ['', '+', '#'] : topicFilter.split('/')
}

/** Whether `outer` matches every topic that `inner` matches; for a Topic Name: whether it matches it. */
export function covers(outer: Levels, inner: Levels): boolean {
  for (let i = 0; ; i++) {
    const wanted = outer[i]
    const level = inner[i]
    if (wanted === '#') return true
    if (wanted === undefined || level === undefined) return wanted === level
    if (!coversLevel(wanted, level, i)) return false
  }
}

/** The filter of the topics that both match; undefined if there is none. */
export function intersection(a: Levels, b: Levels): Levels | undefined {
  const common: string[] = []
  for (let i = 0; ; i++) {
    const left = a[i]
    const right = b[i]
    if (left === '#') return [...common, ...b.slice(i)]
    if (right === '#') return [...common, ...a.slice(i)]
    if (left === undefined || right === undefined) return left === right ? common : undefined
    if (coversLevel(left, right, i)) common.push(right)
    else if (coversLevel(right, left, i)) common.push(left)
    else return undefined
  }
}

export function intersects(a: Levels, b: Levels): boolean {
  return intersection(a, b) !== undefined
}

/**
 * Whether `outers` together match every topic that `inner` matches. Where `inner` has a wildcard, levels
 * that no filter names are among what it matches: only wildcards cover them, so nothing has to be tried.
 */
export function coverTogether(outers: readonly Levels[], inner: Levels): boolean {
  let left = outers
  for (let i = 0; ; i++) {
    if (left.some((outer) => outer[i] === '#')) return true
    const level = inner[i]
    const endsHere = left.some((outer) => outer.length === i)
    if (level === undefined) return endsHere
    // `a/#` matches `a` too.
    if (level === '#' && !endsHere) return false
    const sample = level === '#' ? '+' : level
    left = left.filter((outer) => outer[i] !== undefined && coversLevel(outer[i]!, sample, i))
    if (left.length === 0) return false
    if (level === '#') return coverAnyDepth(left, i + 1)
  }
}

/** Behind a `#` of the inner filter: topics may end here, and may go on with any level. */
function coverAnyDepth(outers: readonly Levels[], depth: number): boolean {
  let left = outers
  for (let i = depth; left.length > 0; i++) {
    if (left.some((outer) => outer[i] === '#')) return true
    if (!left.some((outer) => outer.length === i)) return false
    left = left.filter((outer) => outer[i] === '+')
  }
  return false
}

function coversLevel(wanted: string, level: string, index: number): boolean {
  if (wanted === level) return true
  if (wanted !== '+' || level === '#') return false
  return index > 0 || !level.startsWith('$')
}
