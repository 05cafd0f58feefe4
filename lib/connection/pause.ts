/** Why a connection is not being read; each is a bit, as several may hold at once. */
export const Pause = {
  /** A handler waits for a hook or the store. */
  Handler: 1,
  /** A 3.x publisher has Receive Maximum messages unacknowledged: it is slowed, not closed. */
  OwedAcknowledgements: 2,
  /** The memory budget is nearly used up. */
  Memory: 4,
  /** The store has more to write than it may hold. */
  Store: 8,
  /** The client does not take the acknowledgements for what it sends. */
  Output: 16,
  /** It has been worked for long enough: the other connections have their turn. */
  Turn: 32,
  /** It, its user, its address or its listener has sent more per second than it may. */
  Rate: 64,
} as const
export type Pause = (typeof Pause)[keyof typeof Pause]
