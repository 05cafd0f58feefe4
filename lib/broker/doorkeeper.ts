/** Who may come in before CONNECT, even before a handshake: banned addresses, rates that are used up, silence. */

import type { ConnectionContext } from '../connection/context.ts'
import { subjectOf } from '../security/bans/ban-file.ts'
import type { Doorkeeper } from '../transport/transport.ts'

export function doorkeeperOf({ protection, counters, clock }: ConnectionContext): Doorkeeper {
  const { bans, accounts, halfOpen } = protection
  return {
    refusal(address, protocol) {
      const ban = bans.ofAddress(address)
      if (ban !== undefined) {
        counters.limitsReached.bans++
        return `banned: ${ban.reason ?? 'no reason given'} (${subjectOf(ban)})`
      }
      // A handshake costs more than CONNECT; without one the client is told, see admission.ts.
      if (protocol !== 'tls' && protocol !== 'wss') return undefined
      const connects = accounts.ofAddress(address)?.connects
      if (connects === undefined || connects.refill(clock.now()) === 0) return undefined
      counters.limitsReached.connectionRate++
      return 'more than perAddress.connectionsPerSecond'
    },
    enter(address, end) {
      return halfOpen.enter(address, (rule) => {
        counters.limitsReached.halfOpen++
        end(rule)
      })
    },
    failed(address) {
      accounts.ofAddress(address)?.connects?.tryTake(clock.now())
    },
  }
}
