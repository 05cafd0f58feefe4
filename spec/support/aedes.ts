/** Aedes as a whole, on a real socket. */

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Aedes, type AedesOptions } from 'aedes'
import type { ExecutionContext } from 'ava'
import type { AedesPersistence } from '../../lib/storage/aedes-persistence.ts'

export interface RunningAedes {
  readonly aedes: Aedes
  readonly url: string
  /** Ends the broker, and closes what it kept its state in. */
  close(): Promise<void>
}

/** Starts an Aedes that keeps its state in `persistence`. It is closed with the test, if it still is open. */
export async function startAedes(
  t: ExecutionContext,
  persistence: AedesPersistence,
  options: AedesOptions = {},
): Promise<RunningAedes> {
  const aedes = await Aedes.createBroker({ ...options, persistence })
  const server = createServer(aedes.handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    const closed = once(server, 'close')
    server.close()
    await new Promise<void>((resolve) => aedes.close(resolve))
    await closed
    await persistence.destroy()
  }
  const closeOnce = (): Promise<void> => (closing ??= close())
  t.teardown(closeOnce)
  return { aedes, url: `mqtt://127.0.0.1:${port}`, close: closeOnce }
}
