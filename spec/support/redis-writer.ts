/**
 * A program that writes to a Redis store until it is killed: numbered units for one session, a line on the
 * standard output for each that was reported. Arguments: URL, key prefix.
 */

import { targetOf, unitOf } from '../storage/contract-support.ts'
import { makeStore } from './redis-store.ts'

const [, , url = '', keyPrefix = ''] = process.argv
const store = makeStore(url, { keyPrefix })
await store.open({
  healthChanged() {},
  lost(error) {
    throw error
  },
  emptied: async () => {},
})
const options = { cleanStart: false, expirySeconds: 100, will: undefined }
const { ref, lastSeq } = await store.claim('c', options)
let next = lastSeq + 1
for (let i = 0; i < 50; i++) writeNext()

function writeNext(): void {
  const number = next++
  store.write(unitOf(String(number), [targetOf(ref)]), {
    stored() {},
    done() {
      process.stdout.write(`${number}\n`)
      writeNext()
    },
    failed(_, error) {
      throw error
    },
  })
}
