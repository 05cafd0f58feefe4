/** What goes wrong with listeners, said so that people can do something about it. */

import { createServer } from 'node:net'
import test from 'ava'
import { ListenError, listenNetwork, reportFailures } from '../../lib/transport/listen.ts'

const unopenable = [
  [
    { host: 'broker.invalid', port: 0 },
    /^Cannot listen on broker\.invalid:0: the name does not resolve/,
  ],
  [{ host: '127.0.0.1', port: 70_000 }, /^Cannot listen on 127\.0\.0\.1:70000: that is no port/],
  [
    { host: '192.0.2.1', port: 1883 },
    /^Cannot listen on 192\.0\.2\.1:1883: this machine has no such/,
  ],
] as const

for (const [where, sentence] of unopenable) {
  test(`listening on ${where.host}:${where.port} is an error of one line with advice`, async (t) => {
    const listening = listenNetwork({ name: 'door', ...where }, 'mqtt', '', () => {})

    const error = await t.throwsAsync(listening, { instanceOf: ListenError })

    t.regex(error.message, sentence)
    t.notRegex(error.message, /\n/)
    t.truthy(error.code)
    t.truthy(error.cause)
  })
}

for (const [code, sentence] of [
  ['EMFILE', /^Cannot accept clients on mqtt:\/\/x: too many open files\. Raise the limit/],
  ['EIO', /^Cannot accept clients on mqtt:\/\/x: accept EIO\.$/],
] as const) {
  test(`an open listener that fails with ${code} reports it and lives on`, (t) => {
    const server = createServer()
    const sentences: string[] = []
    const failed = (text: string): number => sentences.push(text)

    reportFailures(server, { name: 'door', failed }, 'mqtt://x')
    server.emit('error', Object.assign(new Error(`accept ${code}`), { code }))

    t.is(sentences.length, 1)
    t.regex(sentences[0] ?? '', sentence)
  })
}
