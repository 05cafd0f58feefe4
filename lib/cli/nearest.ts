/** Finds what somebody meant who has mistyped a command or a flag. */

/** Longer words are not compared: the work grows with the product of the lengths. */
const WORD_LENGTH_MAX = 100

/** Returns the candidate with the fewest mistakes, if at most a third of its letters (rounded up) are wrong. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > WORD_LENGTH_MAX) return undefined
  const ranked = candidates
    .map((candidate) => ({ candidate, mistakes: countMistakes(word, candidate) }))
    .filter(({ candidate, mistakes }) => mistakes <= Math.ceil(candidate.length / 3))
  return ranked.toSorted((one, other) => one.mistakes - other.mistakes)[0]?.candidate
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
