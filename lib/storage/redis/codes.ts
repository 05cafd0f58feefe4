/** The words in which batches and the script that applies them (batch-script.ts) understand each other. */

/** What an operation is called in a batch. Results follow each other in the order of the operations. */
export const Code = {
  /** body, count, then of each target: queue, id, header → seq of each, or `Outcome` */
  Append: 1,
  /** token, body, count, then of each: queue, tokens, id, header → seq of each, or `Outcome` */
  AppendOnce: 2,
  /** session, inbound, incarnation, epoch, Packet Identifier, whether at once done → number */
  Receive: 3,
  /** session, incarnation, epoch */
  ClearWill: 4,
  /** retained, topic, frame */
  Retain: 5,
  /** retained, count, topics */
  ClearRetained: 6,
  /** queue, released, session, incarnation, mark, first id that stays → whether the session is there */
  Trim: 7,
  /** queue, released, incarnation, count, seqs */
  Discard: 8,
  /** queue, released, session, incarnation, epoch, count, seqs */
  Release: 9,
  /** session, inbound, incarnation, epoch, Packet Identifier */
  ForgetInbound: 10,
  /** six keys, Client Identifier, clean, whether only what is there, now, incarnation, expiry, will */
  Claim: 11,
  /** session, incarnation, epoch, count, fields with values, count, fields to delete */
  Update: 12,
  /** six keys, Client Identifier, incarnation, epoch, whether it ends, its end, its will's time, sent to */
  GiveUp: 13,
  /** queue, released, id, seq, then of the other: queue, id, frame → seq, or `Outcome` */
  Move: 14,
  /** six keys, Client Identifier, incarnation, epoch, end, last seq, then counted: fields, released, inbound */
  Adopt: 15,
  /** queue, incarnation, count, then of each: seq, frame */
  AdoptQueue: 16,
  /** tokens, token */
  ForgetToken: 17,
  /** queue, incarnation, seq */
  Raise: 18,
} as const
export type Code = (typeof Code)[keyof typeof Code]

/** What stands for a seq where there is none. */
export const Outcome = {
  /** The receiver exists no more. */
  Gone: 0,
  /** No room. */
  Full: -1,
  /** Redis refused it for a reason that is not ours to know. */
  Refused: -2,
} as const

/** How an answer begins that applied nothing; it is an error reply. */
export const Refusal = {
  /** The lane is not there: Redis has come back without what it kept. */
  Emptied: 'EMPTIED',
  /** Another owner has the lane. */
  Fenced: 'FENCED',
  /** The lane is behind: Redis has lost batches that it had confirmed. */
  Behind: 'BEHIND',
} as const
