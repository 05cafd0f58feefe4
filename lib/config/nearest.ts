/** Finds what somebody probably meant to write. */

// Longer words are not compared: the table grows with the product of the lengths, and no key is this long.
const WORD_LENGTH_MAX = 100

/**
 * Returns the candidate nearest to `word`, or undefined when none is near: more than a third of the
 * letters wrong is another word. Case, `_`, `-` and `.` do not count.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > WORD_LENGTH_MAX) return undefined
  const bare = bareWord(word)
  let best: string | undefined
  let bestDistance = Math.ceil(bare.length / 3) + 1
  for (const candidate of candidates) {
    const distance = levenshtein(bare, bareWord(candidate))
    if (distance >= bestDistance || distance >= bare.length) continue
    best = candidate
    bestDistance = distance
  }
  return best
}

/** Counts the letters to add, drop or replace to make `a` into `b`. */
export function levenshtein(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 0; i < a.length; i++) {
    const row = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const replaced = (previous[j] as number) + (a[i] === b[j] ? 0 : 1)
      row.push(Math.min(replaced, (previous[j + 1] as number) + 1, (row[j] as number) + 1))
    }
    previous = row
  }
  return previous[b.length] as number
}

function bareWord(word: string): string {
  return word.toLowerCase().replaceAll(/[-_.]/g, '')
}
