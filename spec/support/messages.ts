/** What tests say about messages: who gets them, over which kind of session, and what of them counts. */

import type { AnyPacket, ConnectOptions, TestClient, Version } from './client.ts'

export const versions = [3, 4, 5] as const

/** CONNECT of a client whose session outlives its connection. */
export function durable(
  version: Version,
  clientId: string,
  properties: Record<string, unknown> = {},
): ConnectOptions {
  const own = { sessionExpiryInterval: 3600, ...properties }
  return { version, clientId, clean: false, ...(version === 5 && { properties: own }) }
}

/** The PUBLISH packets among `packets`. */
export function publishes(packets: readonly AnyPacket[]): AnyPacket[] {
  return packets.filter(({ cmd }) => cmd === 'publish')
}

/** The payloads of the PUBLISH packets among `packets`, as text. */
export function payloads(packets: readonly AnyPacket[]): string[] {
  return publishes(packets).map(({ payload }) => String(payload))
}

/**
 * What `receiver` has got once the broker has handled all that it and `senders` have sent. Twice, as what
 * goes through the store overtakes no PINGRESP.
 */
export async function arrived(
  receiver: TestClient,
  ...senders: readonly TestClient[]
): Promise<AnyPacket[]> {
  for (const sender of senders) await sender.settled()
  return [...(await receiver.settled()), ...(await receiver.settled())]
}

/** Acknowledges every PUBLISH among `packets` as far as its QoS asks for at first. */
export function acknowledge(client: TestClient, packets: readonly AnyPacket[]): void {
  for (const { qos, messageId } of publishes(packets)) {
    if (qos > 0) client.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId })
  }
}
