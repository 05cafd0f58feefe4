import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { ScramLogin } from '../../lib/cli/scram-login.ts'
import { parsePasswordHash } from '../../lib/security/password-hash.ts'
import { ScramExchange, type ScramUsers } from '../../lib/security/scram/exchange.ts'
import { hashForScram } from '../../lib/security/scram/keys.ts'

const pencil = Buffer.from('pencil')
const { scram } = parsePasswordHash(await hashForScram(pencil, 'SCRAM-SHA-256', 12), undefined)
const users: ScramUsers = {
  scramKeysOf: (userName) => (userName === 'user' ? scram : undefined),
  scramExample: () => scram,
}
const login = await ScramLogin.of({ method: 'SCRAM-SHA-256', userName: 'user', password: pencil })

test('whatever bytes come, an exchange answers, and lets nobody in', (t) =>
  t.notThrowsAsync(
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.string({ unit: 'binary' })), {
          maxLength: 4,
        }),
        async (messages) => {
          const exchange = new ScramExchange('SCRAM-SHA-256', users)
          for (const message of messages) {
            const { kind } = await exchange.next(Buffer.from(message as string))
            if (kind === 'success') return false
          }
          return true
        },
      ),
    ),
  ))

test('a proof in which any byte differs lets nobody in', (t) =>
  t.notThrowsAsync(
    fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (position, change) => {
        const exchange = new ScramExchange('SCRAM-SHA-256', users)
        const challenge = await exchange.next(login.begin())
        const proof = await login.answer(challenge.data)
        const at = position % proof.length
        const last = proof.length - 2
        proof[at] = (proof[at] ?? 0) ^ change
        // The last digit of Base64 has bits that mean nothing.
        if (at >= last) return true
        return (await exchange.next(proof)).kind === 'failure'
      }),
    ),
  ))
