import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { temporaryDirectory } from '../support/processes.ts'

/** Runs the audit against a registry that answers every POST in one way. */
async function audit(
  t: ExecutionContext,
  status: number,
  answer: object,
): Promise<{ code: number | null; text: string }> {
  const registry = createServer((request, response) => {
    request.resume()
    const isAsked = request.method === 'POST'
    response.writeHead(isAsked ? status : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(isAsked ? answer : {}))
  })
  registry.listen(0, '127.0.0.1')
  await once(registry, 'listening')
  t.teardown(() => registry.close())
  const { port } = registry.address() as AddressInfo
  const child = spawn(process.execPath, ['scripts/audit.mjs'], {
    env: {
      ...process.env,
      npm_config_registry: `http://127.0.0.1:${port}/`,
      npm_config_cache: temporaryDirectory(t),
      npm_config_fetch_retries: '0',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, text }
}

test('a registry that knows of no advisory is content', async (t) => {
  t.like(await audit(t, 200, {}), {
    code: 0,
    text: 'npm audit: no dependency has a known advisory\n',
  })
})

test('a dependency with a known advisory fails the run, and is named', async (t) => {
  const advisory = {
    id: 1,
    url: 'https://example.org/advisory',
    title: 'It is bad',
    severity: 'low',
    vulnerable_versions: '*',
    cwe: [],
    cvss: { score: 1, vectorString: null },
  }

  const { code, text } = await audit(t, 200, { 'mqtt-packet': [advisory] })

  t.is(code, 1)
  t.regex(text, /mqtt-packet .*low: It is bad https:\/\/example\.org\/advisory/)
})

test('a registry without advisories is said, and fails nothing', async (t) => {
  const { code, text } = await audit(t, 405, {})

  t.is(code, 0)
  t.regex(text, /not checked, the registry does not tell of advisories \(405 /)
})
