/**
 * Copies few bytes, as most messages have. `Buffer.copy` is made for many: in Node 20 it makes an object for each call,
 * which takes longer than the copying.
 */

/** Up to so many bytes words are quicker. */
export const SMALL_COPY_BYTES_MAX = 192

/** Copies `source` from `start` to `end` to where `target` has `at`. */
export function copyWords(
  source: DataView,
  start: number,
  end: number,
  target: DataView,
  at: number,
): void {
  const shift = at - start
  let from = start
  for (; from + 4 <= end; from += 4) {
    target.setInt32(from + shift, source.getInt32(from, true), true)
  }
  for (; from < end; from++) target.setUint8(from + shift, source.getUint8(from))
}
