/** What a host program may write: every option can be left out. */

import type { BrokerConfiguration, ListenerConfiguration } from './options.ts'

type Partially<T> = { readonly [Key in keyof T]?: Value<T[Key]> | undefined }

/** Of a group in a group every option can be left out too. */
type Value<T> = T extends readonly unknown[] ? T : T extends object ? Partially<T> : T

/** Fields that have no default. */
type NeededFields = 'type' | 'keyFile' | 'certFile'

type ListenerInputOf<L> = L extends unknown
  ? Pick<L, Extract<keyof L, NeededFields>> & Partially<Omit<L, NeededFields>>
  : never

/** A listener, told apart by its `type`; a Unix socket needs a `path`, which is checked at start. */
export type ListenerInput = ListenerInputOf<ListenerConfiguration>

type RoomName = Exclude<keyof BrokerConfiguration, 'listeners'>

/** Options of a broker; what is absent has its default. */
export type BrokerOptionsInput = {
  readonly listeners?: readonly ListenerInput[] | undefined
} & { readonly [Room in RoomName]?: Partially<BrokerConfiguration[Room]> | undefined }
