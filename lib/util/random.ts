/** Chance as a parameter, so that tests can repeat it. */

export interface Random {
  /** A whole number from 0 to `limit - 1`, each as likely. */
  below(limit: number): number
}

export const systemRandom: Random = {
  below: (limit) => Math.floor(Math.random() * limit),
}

/** A small repeatable generator (mulberry32): the same seed gives the same numbers. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return {
    below(limit) {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = state
      mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
    },
  }
}
