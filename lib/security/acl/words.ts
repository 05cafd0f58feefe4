/** The words of a line: separated by spaces; quotes keep spaces and commas together. */

const WORD = /((?:"(?:[^"\\]|\\.)*"|[^\s"])+)\s*/y
const PIECE = /(?:\s*"((?:[^"\\]|\\.)*)"\s*|([^,"]+))(,|$)/y

/** Returns the words as they stand, quotes included; undefined if a quote is not closed. */
export function wordsOf(line: string): string[] | undefined {
  const text = line.trim()
  const words: string[] = []
  WORD.lastIndex = 0
  while (WORD.lastIndex < text.length) {
    const word = WORD.exec(text)?.[1]
    if (word === undefined) return undefined
    words.push(word)
  }
  return words
}

/** Returns the parts of a list such as `alice,"bob smith"`, without quotes; undefined if it is none. */
export function listOf(text: string): string[] | undefined {
  const pieces: string[] = []
  PIECE.lastIndex = 0
  while (PIECE.lastIndex < text.length) {
    const match = PIECE.exec(text)
    if (match === null) return undefined
    const [, quoted, plain = '', separator] = match
    pieces.push(quoted === undefined ? plain.trim() : unescape(quoted))
    if (separator === ',' && PIECE.lastIndex === text.length) return undefined
  }
  return pieces.length === 0 || pieces.includes('') ? undefined : pieces
}

/** Returns a word without its quotes. */
export function plainWord(word: string): string {
  return word.replaceAll(/"((?:[^"\\]|\\.)*)"?/g, (_, quoted: string) => unescape(quoted))
}

function unescape(quoted: string): string {
  return quoted.replaceAll(/\\(.)/g, '$1')
}
