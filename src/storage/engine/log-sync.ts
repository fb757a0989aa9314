import { close, fdatasync, fdatasyncSync, openSync } from 'node:fs'
import { promisify } from 'node:util'

/** The operating system could not put the log on the disk: nobody knows what of it is there. */
class NotSyncedError extends Error {
  override readonly name = 'NotSyncedError'
  readonly code = 'NOT_SYNCED'
}

/** How a file is put on the disk: by another thread, or by this one, which does nothing else meanwhile. */
export interface Disk {
  sync(fd: number): Promise<void>
  syncNow(fd: number): void
}

const DISK: Disk = { sync: promisify(fdatasync), syncNow: fdatasyncSync }

// To ask another thread costs 0.1 ms, of CPU as well, so a disk that has always answered within this is waited for.
const QUICK_MS = 1
// Always: so many times in a row. A single slow answer, and that long it is asked by another thread again.
const PROVEN_AFTER = 200

/**
 * Puts SQLite's write-ahead log on the disk without holding up the event loop, which a slow disk would otherwise do for
 * each commit. Whoever commits is told when a sync that began after its commit is over; what is committed while one is
 * running shares the next.
 */
export class LogSync {
  readonly #file: string
  readonly #fd: number
  readonly #disk: Disk
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #broken: Error | undefined
  /** How many answers in a row were quick. */
  #quick = 0

  /** `file` is the log itself, which SQLite keeps for as long as the database is open. */
  constructor(file: string, disk = DISK) {
    this.#file = file
    this.#fd = openSync(file, 'r')
    this.#disk = disk
  }

  /**
   * Resolves when all that is in the log now is on the disk.
   * @throws NotSyncedError
   */
  sync(): Promise<void> {
    if (!this.#running) return this.#quick < PROVEN_AFTER ? this.#begin() : this.#once(true)
    this.#next ??= this.#running.catch(ignore).then(() => this.#begin())
    return this.#next
  }

  async close(): Promise<void> {
    await (this.#next ?? this.#running)?.catch(ignore)
    await promisify(close)(this.#fd)
  }

  #begin(): Promise<void> {
    this.#next = undefined
    this.#running = this.#once(false).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #once(isNow: boolean): Promise<void> {
    // The system forgets what it could not write: a later sync that succeeds says nothing about it.
    if (this.#broken) throw this.#broken
    const began = performance.now()
    try {
      if (isNow) this.#disk.syncNow(this.#fd)
      else await this.#disk.sync(this.#fd)
      this.#quick = performance.now() - began < QUICK_MS ? this.#quick + 1 : 0
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
