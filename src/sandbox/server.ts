import { type Sandbox, startSandbox } from './sandbox.ts'

const DEFAULT_PORT = 4010

const { env } = process
const teamId = env.DIGITAL_SAMBA_TEAM_ID || 'sandbox-team'
const developerKey = env.DIGITAL_SAMBA_DEVELOPER_KEY || 'sandbox-developer-key'
const host = env.SANDBOX_HOST || env.HOST || '127.0.0.1'
const port = Number(env.SANDBOX_PORT || env.PORT || DEFAULT_PORT)

try {
  const sandbox = await startSandbox({ host, port, teamId, developerKey })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void sandbox.close().finally(() => process.exit(0)))
  }
  introduce(sandbox)
} catch (error) {
  console.error(`sandbox: cannot listen on ${host}:${port}: ${(error as Error).message}`)
  process.exitCode = 1
}

/** Two rooms with somebody in them, and what to type, so that a newcomer can try at once. */
function introduce(sandbox: Sandbox): void {
  const demo = sandbox.createRoom({ friendlyUrl: 'demo-room', externalId: 'demo-external' })
  const second = sandbox.createRoom({ friendlyUrl: 'second-room' })
  const sessions = [demo, second].map((room) => sandbox.startSession({ room: room.id }))
  console.log(`sandbox: listening on ${sandbox.url}`)
  for (const session of sessions) console.log(`  ${session.room.friendlyUrl}: live session ${session.id}`)
  console.log(`  curl --user ${user()} '${sandbox.url}/api/v1/sessions?live=true'`)
  console.log(`  curl --user ${user()} -X POST ${sandbox.url}/api/v1/sessions/${sessions[0]?.id}/end`)
}

/** A key that was given is not printed: whoever has a real one can enter any room. */
function user(): string {
  if (env.DIGITAL_SAMBA_DEVELOPER_KEY) return `"${teamId}:$DIGITAL_SAMBA_DEVELOPER_KEY"`
  return `${teamId}:${developerKey}`
}
