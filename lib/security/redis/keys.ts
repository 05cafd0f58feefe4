/**
 * Where accounts stand in Redis. All keys have one hash tag, so that a script touches one slot of a Redis
 * Cluster. Names of users are fields of a hash: whatever is in them, they can be no other key.
 *
 *     PREFIX {accounts}:users     hash    user name -> {"password": "$scrypt$…", "roles": […], "enabled": true}
 *     PREFIX {accounts}:roles     hash    role -> its rules as text; the role * is everybody's
 *     PREFIX {accounts}:decoys    hash    Authentication Method -> SCRAM keys that nobody has
 *     PREFIX {accounts}:changes   stream  what has changed, the last of it: fields change and name
 *
 * Every change goes with its entry in the stream, in one script, so who has read up to an entry knows all
 * before it; a broker whose last entry is gone reads everything again.
 */

export class AccountKeys {
  readonly users: string
  readonly roles: string
  readonly decoys: string
  readonly changes: string

  constructor(prefix: string) {
    this.users = `${prefix}{accounts}:users`
    this.roles = `${prefix}{accounts}:roles`
    this.decoys = `${prefix}{accounts}:decoys`
    this.changes = `${prefix}{accounts}:changes`
  }
}

/** The role whose rules are for everybody, after those of a client's own roles. */
export const EVERYBODY = '*'

/** How many changes a broker may have missed before it reads everything again. */
export const CHANGES_MAX = 1000

/** `credentials`: the user is new, gone, disabled, or has another password. */
export type Change =
  | { readonly id: string; readonly change: 'credentials' | 'roles'; readonly name: string }
  | { readonly id: string; readonly change: 'rules' }
