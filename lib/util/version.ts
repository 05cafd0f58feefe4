/** The version of this package, read from its package.json. */

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** From `dist/lib/util/` and from `lib/util/` alike, the manifest is found by walking up. */
function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const manifest = require(path) as { name: string; version: string }
      if (manifest.name === 'noctule') return manifest.version
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    }
  }
  return 'unknown'
}

export const VERSION: string = readVersion()
