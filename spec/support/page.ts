/**
 * A web page with MQTT.js in it, in a headless Chromium. The page is served by a small HTTP server of the
 * test, so it has an Origin; what happens in it is reported to the test.
 */

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'
import { type Browser, chromium, type Page } from 'playwright-core'
import { requireProgram } from './programs.ts'

const bundle = readFileSync(createRequire(import.meta.url).resolve('mqtt/dist/mqtt.min'))

const html = `<!doctype html>
<meta charset="utf-8">
<title>MQTT.js in a page</title>
<script src="/mqtt.js"></script>
<script>
  let client
  function start(url, options) {
    client = mqtt.connect(url, { reconnectPeriod: 0, connectTimeout: 20_000, ...options })
    client.on('connect', ({ sessionPresent }) => report('connect', sessionPresent))
    client.on('message', (topic, payload, { qos, retain }) =>
      report('message', { topic, payload: payload.toString(), qos, retain }))
    client.on('error', () => report('error'))
    client.on('close', () => report('close'))
  }
</script>`

const ARGUMENTS = [
  '--no-sandbox',
  '--headless',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Something that happened in the page: `connect`, `message`, `error`, `close`. */
export type PageEvent = readonly [name: string, detail?: unknown]

export interface MqttPage {
  /** `http://127.0.0.1:PORT`, as browsers send it. */
  readonly origin: string
  /** Calls `start(url, options)` in the page. */
  connect(url: string, options?: Record<string, unknown>): Promise<void>
  /** Runs JavaScript that may use `client`; resolves with its value. */
  run(script: string): Promise<unknown>
  /** The next thing that happens in the page. */
  next(): Promise<PageEvent>
}

let launched: Promise<Browser> | undefined

/** Ends the browser that all pages of this process share. */
export async function closeBrowser(): Promise<void> {
  await (await launched)?.close()
}

/** Opens the page; undefined if Chromium is not installed. Who calls it calls `closeBrowser` at the end. */
export async function openPage(t: ExecutionContext): Promise<MqttPage | undefined> {
  const executablePath = requireProgram(t, 'chromium', 'chromium')
  if (executablePath === undefined) return undefined
  const origin = await serve(t)
  launched ??= chromium.launch({ executablePath, args: ARGUMENTS })
  const context = await (await launched).newContext()
  t.teardown(() => context.close())
  const page = await context.newPage()
  const next = await watch(page)
  await page.goto(origin)
  return {
    origin,
    async connect(url, options = {}) {
      await page.evaluate(`start(${JSON.stringify(url)}, ${JSON.stringify(options)})`)
    },
    run: (script) => page.evaluate(script),
    next,
  }
}

async function serve(t: ExecutionContext): Promise<string> {
  const server = createServer((request, response) => {
    const isScript = request.url === '/mqtt.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? bundle : html)
  })
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function watch(page: Page): Promise<() => Promise<PageEvent>> {
  const events: PageEvent[] = []
  let wake: (() => void) | undefined
  await page.exposeFunction('report', (...event: [string, unknown]) => {
    events.push(event)
    wake?.()
  })
  return async () => {
    for (;;) {
      const event = events.shift()
      if (event !== undefined) return event
      // oxlint-disable-next-line no-await-in-loop -- Each event may be the one.
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
}
