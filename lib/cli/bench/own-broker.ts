/** A broker of ours, fresh, on free ports, as a process of its own. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from './cores.ts'
import type { Target } from './load.ts'
import { ServerProcess } from './server-process.ts'
import { localTarget, type Subject, watchedOn } from './subject.ts'

const CLI = fileURLToPath(new URL('../../cli.js', import.meta.url))

export interface OwnBrokerOptions {
  /** As `noctule start --store` takes it; a relative directory lies in the broker's own. */
  readonly store: string
  readonly storePids: readonly number[]
  readonly core: number | undefined
  /** Also listen on TLS, where `openssl` can make a certificate. */
  readonly wantsTls?: boolean
  /** Have each message judged by the rules of an ACL. */
  readonly isGuarded?: boolean
  /** Program of another Node to run it with. */
  readonly node?: string
}

/** Where the queues of its sessions end is no part of what is measured. */
const FLAGS = ['--session.queueMessagesMax=1000000', '--session.queueBytesMax=10000000000']

/** The last is the one that everybody needs. */
const RULES = [
  ...Array.from({ length: 100 }, (_, i) => `allow all sites/${i}/%c/# user=user-${i}`),
  'allow all bench/#',
]

export async function startOwnBroker(options: OwnBrokerOptions): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'noctule-bench-'))
  const hasTls = options.wantsTls === true && makeCertificate(directory)
  const listeners = ['mqtt', 'ws', ...(hasTls ? ['mqtts'] : [])]
  const tls = [
    '--listeners.2.type=tls',
    '--listeners.2.host=127.0.0.1',
    '--listeners.2.port=0',
    '--listeners.2.certFile=cert.pem',
    '--listeners.2.keyFile=key.pem',
  ]
  if (options.isGuarded === true) writeFileSync(join(directory, 'acl.conf'), RULES.join('\n'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  const server = await ServerProcess.start({
    command: options.node ?? process.execPath,
    args: [
      CLI,
      'start',
      '--port=0',
      '--ws-port=0',
      '--log-level=error',
      `--store=${options.store}`,
      ...FLAGS,
      ...(hasTls ? tls : []),
      ...(options.isGuarded === true ? ['--security.aclFile=acl.conf'] : []),
    ],
    // In no order that matters: each has to be there.
    ready: new RegExp(listeners.map((protocol) => `(?=[^]*on ${protocol}://\\S+\\s)`).join('')),
    core: options.core,
    directory,
  }).catch((error: unknown) => {
    remove()
    throw error
  })
  const target = (protocol: Target['protocol']) => {
    const port = new RegExp(`${protocol}://[^ ]*?:(\\d+)`).exec(server.output)?.[1]
    return localTarget(protocol, Number(port))
  }
  return {
    targets: {
      tcp: target('mqtt'),
      ws: target('ws'),
      ...(hasTls ? { tls: target('mqtts') } : {}),
    },
    watched: watchedOn(options.core, [server.pid], options.storePids),
    stop: async () => {
      await server.stop()
      remove()
    },
  }
}

/** Returns whether there is one now. */
function makeCertificate(directory: string): boolean {
  if (findProgram('openssl') === undefined) return false
  const subject = ['-subj', '/CN=localhost', '-days', '30']
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-keyout', 'key.pem', '-out', 'cert.pem']
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, ...files], {
    cwd: directory,
    stdio: 'ignore',
  })
  return true
}
