/** The command line clients of Mosquitto against a broker of the test's own. */

import { once } from 'node:events'
import type { ExecutionContext } from 'ava'
import type { Broker } from '../../lib/index.ts'
import { type Exit, Program, requireProgram } from './programs.ts'

export interface MosquittoClients {
  /** Publishes and returns what mosquitto_pub said; fails the test if it was not content. */
  publish(args: readonly string[], input?: string): Promise<Exit>
  /** Starts mosquitto_sub; resolves as soon as the broker has its subscription. */
  subscribe(args: readonly string[]): Promise<Program>
  /** Runs mosquitto_sub until it ends by itself. */
  collect(args: readonly string[]): Promise<Exit>
}

/** Clients that are given `where`: host, port and protocol. Undefined if they are not installed. */
export function mosquittoClients(
  t: ExecutionContext,
  broker: Broker,
  where: readonly string[],
): MosquittoClients | undefined {
  const pub = requireProgram(t, 'mosquitto_pub', 'mosquitto-clients')
  if (pub === undefined) return undefined
  const sub = requireProgram(t, 'mosquitto_sub', 'mosquitto-clients')
  if (sub === undefined) return undefined
  return {
    async publish(args, input = '') {
      const program = new Program(t, pub, [...where, ...args])
      program.feed(input)
      const exit = await program.exited
      t.is(exit.code, 0, exit.stderr)
      return exit
    },
    async subscribe(args) {
      const subscribed = once(broker, 'subscribed')
      const program = new Program(t, sub, [...where, ...args])
      const endedEarly = program.exited.then(({ stderr }) => {
        throw new Error(`mosquitto_sub has ended: ${stderr}`)
      })
      endedEarly.catch(() => {})
      await Promise.race([subscribed, endedEarly])
      return program
    },
    collect: (args) => new Program(t, sub, [...where, ...args]).exited,
  }
}

/** The arguments which lead to a URL of the broker. */
export function leadingTo(url: string | undefined, protocol = 'mqttv311'): string[] {
  const { hostname, port } = new URL(url ?? '')
  return ['-h', hostname, '-p', port, '-V', protocol]
}
