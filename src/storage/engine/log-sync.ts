import { close, fdatasync, openSync } from 'node:fs'
import { promisify } from 'node:util'

/** The operating system could not put the log on the disk: nobody knows what of it is there. */
class NotSyncedError extends Error {
  override readonly name = 'NotSyncedError'
  readonly code = 'NOT_SYNCED'
}

/**
 * Puts SQLite's write-ahead log on the disk without holding up the event loop, which a slow disk would otherwise do for
 * each commit. Whoever commits is told when a sync that began after its commit is over; what is committed while one is
 * running shares the next.
 */
export class LogSync {
  readonly #file: string
  readonly #fd: number
  readonly #sync: (fd: number) => Promise<void>
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #broken: Error | undefined

  /** `file` is the log itself, which SQLite keeps for as long as the database is open. */
  constructor(file: string, sync: (fd: number) => Promise<void> = promisify(fdatasync)) {
    this.#file = file
    this.#fd = openSync(file, 'r')
    this.#sync = sync
  }

  /**
   * Resolves when all that is in the log now is on the disk.
   * @throws NotSyncedError
   */
  sync(): Promise<void> {
    if (!this.#running) return this.#begin()
    this.#next ??= this.#running.catch(ignore).then(() => this.#begin())
    return this.#next
  }

  async close(): Promise<void> {
    await (this.#next ?? this.#running)?.catch(ignore)
    await promisify(close)(this.#fd)
  }

  #begin(): Promise<void> {
    this.#next = undefined
    this.#running = this.#once().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #once(): Promise<void> {
    // The system forgets what it could not write: a later sync that succeeds says nothing about it.
    if (this.#broken) throw this.#broken
    try {
      await this.#sync(this.#fd)
    } catch (cause) {
      this.#broken = new NotSyncedError(
        `${this.#file} cannot be put on the disk; look at the disk, then start Curfew again`,
        { cause },
      )
      throw this.#broken
    }
  }
}

function ignore(): void {}
