/** Who answers for what a session keeps, also while its client is away. `connection/` implements it. */

export interface Holder {
  /** Told of subscriptions that the session has got, or lost (less than 0). */
  holdSubscriptions(count: number): void
}
