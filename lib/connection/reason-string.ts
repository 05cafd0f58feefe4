/** The Reason String of CONNACK and DISCONNECT: what hooks and rules say, in a form that may be sent. */

/** Longest Reason String, in UTF-16 units: a sentence, far below the 65,535 bytes of a string. */
const REASON_STRING_MAX = 1024

/** Returns `text` without what no string may have in it, and no longer than a sentence needs. */
export function toReasonString(text: string): string {
  return text.replaceAll('\0', '').slice(0, REASON_STRING_MAX) // [MQTT-1.5.4-2]
}
