/** Numbers that the standard fixes, each with its clause. */

/** Largest value of a Variable Byte Integer, and so of a Remaining Length (section 1.5.5). */
export const VARIABLE_BYTE_INTEGER_MAX = 268_435_455

/** Largest Two Byte Integer: Packet Identifier, Receive Maximum, length of a string (1.5.2, 1.5.4). */
export const TWO_BYTE_INTEGER_MAX = 65_535

/** A Session Expiry Interval of this value never ends (section 3.1.2.11.2). */
export const SESSION_NEVER_EXPIRES = 0xffff_ffff

/** Receive Maximum of a peer that does not name one (section 3.1.2.11.3). */
export const RECEIVE_MAXIMUM_DEFAULT = 65_535

/** A connection is dead after this many times its Keep Alive [MQTT-3.1.2-22]. */
export const KEEP_ALIVE_GRACE = 1.5
