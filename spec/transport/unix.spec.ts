/** Real Unix sockets: bytes, and whose socket file it is. */

import { Buffer } from 'node:buffer'
import { execFile } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import { ListenError } from '../../lib/transport/listen.ts'
import type { Listener } from '../../lib/transport/transport.ts'
import { listenUnix } from '../../lib/transport/unix.ts'
import { Acceptor, closeAfter, connectTo, readAll } from '../support/transports.ts'

const run = promisify(execFile)

async function directoryFor(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'noctule-unix-'))
  t.teardown(() => rm(directory, { recursive: true }))
  return directory
}

async function listen(
  t: ExecutionContext,
  path: string,
  mode?: number,
): Promise<{ listener: Listener; acceptor: Acceptor }> {
  const acceptor = new Acceptor()
  const listener = await listenUnix({ name: 'door', path, mode }, acceptor.accept)
  closeAfter(t, listener, acceptor)
  return { listener, acceptor }
}

/** Leaves a socket file behind, as a process does that is killed. */
async function leaveStaleSocket(path: string): Promise<void> {
  const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  await run(process.execPath, ['-e', program]).catch(() => {})
}

test('bytes travel both ways', async (t) => {
  const path = join(await directoryFor(t), 'broker.sock')
  const { listener, acceptor } = await listen(t, path)
  const client = await connectTo(t, listener, { path })
  const server = await acceptor.next()

  client.write('ping')
  const bytes = await server.untilBytes(4)
  server.transport.write(Buffer.from('pong'))
  server.transport.close()
  const answer = await readAll(client)

  t.is(bytes.toString(), 'ping')
  t.is(answer.toString(), 'pong')
  t.is(listener.url, `unix:${path}`)
  t.like(server.transport.peer, { listener: 'door', protocol: 'unix', address: 'unix', port: 0 })
})

test('the socket file has the mode asked for and goes when the listener closes', async (t) => {
  const path = join(await directoryFor(t), 'broker.sock')
  const { listener } = await listen(t, path, 0o600)

  const mode = statSync(path).mode & 0o777
  await listener.close()

  t.is(mode, 0o600)
  t.false(existsSync(path))
})

test('a socket file that a dead process left is replaced', async (t) => {
  const path = join(await directoryFor(t), 'broker.sock')
  await leaveStaleSocket(path)
  const wasThere = existsSync(path)

  const { listener, acceptor } = await listen(t, path)
  await connectTo(t, listener, { path })
  await acceptor.next()

  t.true(wasThere)
})

test('a socket that somebody listens on is left alone', async (t) => {
  const path = join(await directoryFor(t), 'broker.sock')
  const { listener, acceptor } = await listen(t, path)

  const error = await t.throwsAsync(listen(t, path), { instanceOf: ListenError })
  await connectTo(t, listener, { path })
  await acceptor.next()

  t.is(error.code, 'EADDRINUSE')
  t.is(
    error.message,
    `Cannot listen on unix:${path}: another program listens there. Stop it or choose another path.`,
  )
})

test('a file that is no socket is left alone', async (t) => {
  const path = join(await directoryFor(t), 'precious.txt')
  await writeFile(path, 'precious')

  const error = await t.throwsAsync(listen(t, path), { instanceOf: ListenError })

  t.is(error.code, 'EEXIST')
  t.is(statSync(path).size, 8)
})

test('a directory that is missing and a path that is too long are errors with advice', async (t) => {
  const directory = await directoryFor(t)

  const missing = await t.throwsAsync(listen(t, join(directory, 'no', 'broker.sock')))
  const long = await t.throwsAsync(listen(t, join(directory, 'x'.repeat(108))))

  t.regex(missing.message, /the directory does not exist\. Create it or choose another path\.$/)
  t.regex(long.message, /the path is longer than \d+ bytes\. Choose a shorter one\.$/)
})
