import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { MACHINE } from '../helper/machine.ts'
import { KEYS } from '../helper/service.ts'
import { blocks, forExamples } from './examples.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = (name: string) => join(root, 'node_modules/.bin', name)
const run = promisify(execFile)

t.test('the five lines of docs/clients.md are checked by the compiler, and end a session', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-client-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const generator = join(root, 'test/client/generator/client-types.js')
  await run(process.execPath, [generator, join(root, 'openapi.json'), '-o', join(folder, 'curfew.d.ts')])
  const [program = ''] = blocks('clients.md', 'ts')
  t.equal(program.trim().split('\n').length, 5)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: COMPILER, include: ['*.ts'] }),
  )
  const check = async (text: string) => {
    writeFileSync(join(folder, 'client.ts'), text)
    // Without what tap adds to every process: with it the compiler does not start.
    return run('env', ['-u', 'NODE_OPTIONS', bin('tsc'), '-p', folder]).then(
      () => 'nothing is wrong',
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    )
  }
  t.match(await check(program.replace("room: 'demo-room'", "rum: 'demo-room'")), /'rum' does not exist/)
  t.match(await check(program.replace('data.state', 'data.status')), /'status' does not exist/)
  t.equal(await check(program), 'nothing is wrong')

  const sandbox = await startSandbox()
  t.teardown(() => sandbox.close())
  const session = sandbox.startSession({ room: sandbox.createRoom({ friendlyUrl: 'demo-room' }).id })
  const { curfew } = await forExamples(t, sandbox)
  const ask = async (key: string) => {
    const env = { ...MACHINE, CURFEW: curfew.url, KEY: key }
    return (await run(process.execPath, [join(folder, 'client.ts')], { env })).stdout
  }
  t.match(await ask('nobody-knows-this-key-000'), /^urn:curfew:problem:unauthorized: this key is not known/)
  t.ok(session.live)
  t.match(await ask(KEYS.booking), /^[0-9a-f-]{36} is ended/)
  t.notOk(session.live)
})

const COMPILER = {
  target: 'es2024',
  lib: ['es2024', 'dom'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  allowImportingTsExtensions: true,
}
