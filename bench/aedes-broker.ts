/** Aedes as it comes, on a free port; `--redis PORT` keeps its sessions there, where its packages for that are installed. */

import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const redisPort = process.argv[process.argv.indexOf('--redis') + 1]
const isOnRedis = process.argv.includes('--redis')

/** They are no dependencies of ours: the names keep the compiler from looking for them. */
async function onRedis(): Promise<object> {
  const connection = { port: Number(redisPort), host: '127.0.0.1' }
  const [persistence, emitter] = await Promise.all(
    ['aedes-persistence-redis', 'mqemitter-redis'].map((name) => import(name)),
  )
  return { persistence: persistence.default(connection), mq: emitter.default(connection) }
}

const broker = await Aedes.createBroker(isOnRedis ? await onRedis() : {})
const server = createServer(broker.handle)
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listens on mqtt://127.0.0.1:${(server.address() as { port: number }).port} `)
})
