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
    const distance = countMistakes(bare, bareWord(candidate))
    if (distance >= bestDistance || distance >= bare.length) continue
    best = candidate
    bestDistance = distance
  }
  return best
}

/** "; did you mean NAME?" for the end of a sentence, or nothing when no candidate is near. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates)
  return near === undefined ? '' : `; did you mean ${near}?`
}

/** Counts letters that are missing, too many or wrong; two that changed places count as one. */
function countMistakes(word: string, meant: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: meant.length + 1 }, (_, column) => column)
  const at = (row: readonly number[], column: number) => row[column] ?? 0
  for (let i = 0; i < word.length; i++) {
    const row = [i + 1]
    for (let j = 0; j < meant.length; j++) {
      const wrong = at(last, j) + (word[i] === meant[j] ? 0 : 1)
      const isSwapped = i > 0 && j > 0 && word[i] === meant[j - 1] && word[i - 1] === meant[j]
      const swapped = isSwapped ? at(beforeLast, j - 1) + 1 : wrong
      row.push(Math.min(wrong, swapped, at(last, j + 1) + 1, at(row, j) + 1))
    }
    beforeLast = last
    last = row
  }
  return at(last, meant.length)
}

function bareWord(word: string): string {
  return word.toLowerCase().replaceAll(/[-_.]/g, '')
}
