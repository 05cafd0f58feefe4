/** Who takes part in a comparison: ours with each of its stores, the bare relay, and peers that are on the machine. */

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Cores, findProgram } from '../lib/cli/bench/cores.ts'
import { startOwnBroker } from '../lib/cli/bench/own-broker.ts'
import { type Scenario, scenarios } from '../lib/cli/bench/scenarios.ts'
import { ServerProcess } from '../lib/cli/bench/server-process.ts'
import { localTarget, type Subject, watchedOn } from '../lib/cli/bench/subject.ts'
import { VERSION } from '../lib/util/version.ts'

export interface Contestant {
  readonly name: string
  /** Of what is measured; undefined when it is not on this machine. */
  readonly version: string | undefined
  /** What a failure of it means: ours must run. */
  readonly isOurs: boolean
  takes(scenario: Scenario): boolean
  /** What it does beside a scenario that it cannot do itself, to set a scale; undefined: nothing. */
  standIn?(scenario: Scenario): Scenario | undefined
  /** Starts a fresh one. */
  start(cores: Cores, scenario: Scenario): Promise<Subject>
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const require = createRequire(import.meta.url)

const ownVersion = `${VERSION}, Node ${process.versions.node}`

const plainPairs = (scenarios.find(({ name }) => name === 'qos0-pairs') as Scenario).load

/** Pairs of MQTT 3.1.1 at QoS 0, to compare a stream of another kind with; undefined where nothing is compared. */
function plainPairsBeside({ name, load }: Scenario): Scenario | undefined {
  // What waits in a queue, or travels alone, does not cost what it costs in a stream.
  if (load.shape !== 'messages' || load.ratePerSecond > 0) return undefined
  const { payloadBytes } = load
  const title = `QoS 0, 50 to 50, ${payloadBytes} B`
  return { name, title, load: { ...plainPairs, payloadBytes } }
}

const memory: Contestant = {
  name: 'noctule',
  version: ownVersion,
  isOurs: true,
  takes: () => true,
  start: ({ broker: core }, { isGuarded = false }) =>
    startOwnBroker({ store: 'memory', storePids: [], core, wantsTls: true, isGuarded }),
}

/** The same on another Node, if the environment names one. */
const otherNode = process.env['BENCH_NODE']

/** Beside streams of MQTT 5.0, as what those cost more is judged in the same turns. */
const memoryOf311: Contestant = {
  ...memory,
  name: 'noctule, 3.1.1',
  takes: () => false,
  standIn: (scenario) =>
    scenario.load.protocolVersion === 5 ? plainPairsBeside(scenario) : undefined,
}

const memoryOnOtherNode: Contestant = {
  ...memory,
  name: 'noctule, other Node',
  version: otherNode && `${VERSION}, Node ${answerOf(otherNode, ['--version'], /^v(\S+)/)}`,
  start: ({ broker: core }, { isGuarded = false }) => {
    const common = { store: 'memory', storePids: [], core, wantsTls: true, isGuarded }
    return startOwnBroker({ ...common, ...(otherNode !== undefined && { node: otherNode }) })
  },
}

const disk: Contestant = {
  name: 'noctule, disk',
  version: ownVersion,
  isOurs: true,
  takes: isForStores,
  start: ({ broker: core }) => startOwnBroker({ store: 'disk:data', storePids: [], core }),
}

const redis: Contestant = {
  name: 'noctule, Redis',
  version: versionOf('redis-server', ['--version'], /v=(\S+)/),
  isOurs: true,
  takes: isForStores,
  start: (cores) =>
    withRedis(cores, (port, pid) =>
      startOwnBroker({
        store: `redis://127.0.0.1:${port}`,
        storePids: [pid],
        core: cores.broker,
      }),
    ),
}

/** It knows exact topics and QoS 0, and QoS 1 as far as nothing gets lost. Beside other streams it does plain pairs. */
export const relay: Contestant = {
  name: 'bare relay',
  version: `Node ${process.versions.node}`,
  isOurs: true,
  takes: ({ load, transport, isGuarded }) =>
    transport === undefined &&
    isGuarded !== true &&
    (load.shape === 'messages' || load.shape === 'idle') &&
    (load.topology === 'pairs' || load.topology === 'fan-out') &&
    (load.qos === 0 || (load.qos === 1 && load.ratePerSecond > 0)) &&
    load.protocolVersion === 4 &&
    load.topics === 1 &&
    load.deadSubscribers === 0 &&
    load.deliveriesPerResubscribe === 0,
  standIn: plainPairsBeside,
  start: (cores) => startProgram(cores, process.execPath, [here('relay.js')]),
}

const mosquitto: Contestant = {
  name: 'mosquitto',
  version: versionOf('mosquitto', ['-h'], /version (\S+)/),
  isOurs: false,
  takes: isOverTcp,
  start: startMosquitto,
}

/** The fastest one there is, as far as we know: a program of C++. It takes part where `flashmq` is installed. */
export const flashmq: Contestant = {
  name: 'flashmq',
  version: versionOf('flashmq', ['--version'], /Version (\S+)/),
  isOurs: false,
  takes: isOverTcp,
  start: startFlashmq,
}

const aedes: Contestant = {
  name: 'aedes',
  version: packageVersion('aedes'),
  isOurs: false,
  takes: (scenario) =>
    isOverTcp(scenario) &&
    scenario.isGuarded !== true &&
    scenario.load.protocolVersion === 4 &&
    scenario.load.topology !== 'shared',
  start: (cores) => startProgram(cores, process.execPath, [here('aedes-broker.js')]),
}

const aedesRedis: Contestant = {
  name: 'aedes, Redis',
  version: redis.version && packageVersion('aedes-persistence-redis'),
  isOurs: false,
  takes: (scenario) => aedes.takes(scenario) && isForStores(scenario),
  start: (cores) =>
    withRedis(cores, async (port, pid) => {
      const words = [here('aedes-broker.js'), '--redis', String(port)]
      const subject = await startProgram(cores, process.execPath, words)
      return { ...subject, watched: { ...subject.watched, store: [pid] } }
    }),
}

/** All that there can be; those without a version are not on this machine. */
export const contestants: readonly Contestant[] = [
  relay,
  memory,
  memoryOf311,
  memoryOnOtherNode,
  disk,
  redis,
  flashmq,
  mosquitto,
  aedes,
  aedesRedis,
]

function isOverTcp({ transport }: Scenario): boolean {
  return transport === undefined
}

function isForStores(scenario: Scenario): boolean {
  return scenario.isForStores === true
}

/** A program that says where it listens. */
async function startProgram(
  cores: Cores,
  command: string,
  args: readonly string[],
): Promise<Subject> {
  const core = cores.broker
  const ready = /mqtt:\/\/127\.0\.0\.1:(\d+) /
  const server = await ServerProcess.start({ command, args, ready, core, directory: tmpdir() })
  const port = Number(ready.exec(server.output)?.[1])
  return {
    targets: { tcp: localTarget('mqtt', port) },
    watched: watchedOn(core, [server.pid]),
    stop: () => server.stop(),
  }
}

async function startMosquitto(cores: Cores, { isGuarded }: Scenario): Promise<Subject> {
  const port = await freePort()
  return startConfigured(cores, 'mosquitto', '-c', /version \S+ running/, port, [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'persistence false',
    'connection_messages false',
    'max_queued_messages 0',
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    ...(isGuarded === true ? [`acl_file ${RULES_FILE}`] : []),
  ])
}

/** One thread, as all have one core; its limits are as high as they can be, as ours are. */
async function startFlashmq(cores: Cores, { isGuarded }: Scenario): Promise<Subject> {
  const port = await freePort()
  return startConfigured(cores, 'flashmq', '--config-file', /Adding timers/, port, [
    'thread_count 1',
    'allow_anonymous true',
    'max_qos_msg_pending_per_client 65535',
    'max_qos_bytes_pending_per_client 100000000',
    'client_max_write_buffer_size 100000000',
    ...(isGuarded === true ? [`mosquitto_acl_file ${RULES_FILE}`] : []),
    'listen {',
    '  protocol mqtt',
    '  inet_protocol ip4',
    '  inet4_bind_address 127.0.0.1',
    `  port ${port}`,
    '  tcp_nodelay true',
    '}',
  ])
}

/** A program of this machine that is told where its file of settings is, whose current directory has `RULES_FILE`. */
async function startConfigured(
  { broker: core }: Cores,
  name: string,
  option: string,
  ready: RegExp,
  port: number,
  settings: readonly string[],
): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'noctule-bench-'))
  const file = join(directory, 'settings.conf')
  writeFileSync(file, settings.join('\n'))
  writeFileSync(join(directory, RULES_FILE), MOSQUITTO_RULES.join('\n'))
  const server = await ServerProcess.start({
    command: findProgram(name) as string,
    args: [option, file],
    ready,
    core,
    directory,
  })
  return {
    targets: { tcp: localTarget('mqtt', port) },
    watched: watchedOn(core, [server.pid]),
    stop: async () => {
      await server.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

const RULES_FILE = 'acl.conf'

/** Those that ours is given, as Mosquitto writes them. */
const MOSQUITTO_RULES = [
  'topic readwrite bench/#',
  ...Array.from({ length: 100 }, (_, i) => `user user-${i}\ntopic readwrite sites/${i}/#`),
]

/** A Redis that syncs each write before it answers, on the core of the generator. */
async function withRedis(
  { generator: core }: Cores,
  start: (port: number, pid: number) => Promise<Subject>,
): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'noctule-bench-'))
  const port = await freePort()
  const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory]
  const server = await ServerProcess.start({
    command: 'redis-server',
    args: [...place, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
    ready: /Ready to accept connections/,
    core,
    directory,
  })
  const stop = async () => {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const subject = await start(port, server.pid)
    return {
      ...subject,
      stop: async () => {
        await subject.stop()
        await stop()
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** One where nothing listens, unless somebody takes it now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function versionOf(name: string, args: readonly string[], pattern: RegExp): string | undefined {
  const program = findProgram(name)
  return program === undefined ? undefined : answerOf(program, args, pattern)
}

function answerOf(program: string, args: readonly string[], pattern: RegExp): string | undefined {
  const { stdout } = spawnSync(program, args, { encoding: 'utf8' })
  return pattern.exec(stdout)?.[1]
}

/** Undefined when it is not installed. */
function packageVersion(name: string): string | undefined {
  try {
    const path = require.resolve(name)
    const folder = path.slice(0, path.lastIndexOf(`/${name}/`) + name.length + 1)
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version as string
  } catch {
    return undefined
  }
}
