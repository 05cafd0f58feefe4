/**
 * What takes `count` away again when it is added. Never -0: a sum to which that was added is a floating-point
 * number from then on, and all code that was compiled for whole ones is thrown away.
 */
export function negated(count: number): number {
  return 0 - count
}
