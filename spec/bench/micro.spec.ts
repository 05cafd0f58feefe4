import test from 'ava'
import { microCases } from '../../bench/micro/cases.ts'
import { measureCase } from '../../bench/micro/harness.ts'

test('each case does something, and can be measured', (t) => {
  for (const one of microCases) {
    t.true(one.run() > 0, one.name)
    const { lowestNs, medianNs, highestNs } = measureCase(one, {
      warmupMs: 0,
      samples: 3,
      sampleMs: 1,
    })
    t.true(lowestNs <= medianNs && medianNs <= highestNs, one.name)
  }
})

test('work takes as long as it burns CPU time', (t) => {
  const timing = { warmupMs: 5, samples: 5, sampleMs: 10 }
  const burn = (ms: number) => () => {
    const start = process.cpuUsage()
    const usedUs = () => {
      const { user, system } = process.cpuUsage(start)
      return user + system
    }
    while (usedUs() < ms * 1000);
    return 1
  }

  const { medianNs } = measureCase({ name: '', operations: 10, run: burn(2) }, timing)

  t.true(medianNs >= 200_000, String(medianNs))
})
