/** Whether the bytes from `start` to `end` are those of `text` and ASCII, so that no encoding has to be asked. */
export function isAscii(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  const { length } = text
  if (length !== end - start) return false
  let all = 0
  // From behind: names that differ mostly do so at their end.
  for (let i = length - 1; i >= 0; i--) {
    const byte = bytes[start + i]!
    if (byte !== text.charCodeAt(i)) return false
    all |= byte
  }
  return all < 0x80
}

export function isAsciiText(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false
  return true
}
