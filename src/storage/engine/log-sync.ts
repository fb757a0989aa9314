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

// To ask another thread costs 0.1 ms and more, of CPU as well. Where so few wait that there is little else to do meanwhile,
// a disk that answers within this on average is waited for.
const FEW = 4
const QUICK_MS = 2
const WEIGHT = 1 / 16
// One that is slower, or was as slow as this once, is left to another thread for so many syncs, and twice as many the
// next time; each that is quick takes one off that.
const SLOW_MS = 10
const ASIDE = { first: 100, most: 10_000 }
// What nobody waits for is on the disk within that.
const SOON_MS = 50

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
  /** How long (ms) those take that are waited for, the last ones above all. */
  #average = 0
  /** How many are still left to another thread, and how many will be the next time. */
  #aside = 0
  #nextAside = ASIDE.first
  #soon: NodeJS.Timeout | undefined

  /** `file` is the log itself, which SQLite keeps for as long as the database is open. */
  constructor(file: string, disk = DISK) {
    this.#file = file
    this.#fd = openSync(file, 'r')
    this.#disk = disk
  }

  /**
   * Resolves when all that is in the log now is on the disk. `waiting`: how many are held up by it.
   * @throws NotSyncedError
   */
  sync(waiting = 1): Promise<void> {
    // Unless one is running, what is to be on the disk soon is there with this one.
    if (!this.#running) this.#forgetSoon()
    if (this.#running) {
      this.#next ??= this.#running.catch(ignore).then(() => this.#begin())
      return this.#next
    }
    if (waiting > FEW) return this.#begin()
    if (this.#aside === 0) return this.#once(() => this.#syncNow())
    this.#aside -= 1
    return this.#begin()
  }

  /** What is in the log now is on the disk soon, or the next `sync` says why it is not. */
  soon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined
      this.sync(FEW + 1).catch(ignore)
    }, SOON_MS)
  }

  async close(): Promise<void> {
    this.#forgetSoon()
    await (this.#next ?? this.#running)?.catch(ignore)
    await promisify(close)(this.#fd)
  }

  #syncNow(): void {
    const began = performance.now()
    this.#disk.syncNow(this.#fd)
    const tookMs = performance.now() - began
    this.#average += (tookMs - this.#average) * WEIGHT
    if (tookMs < SLOW_MS && this.#average < QUICK_MS) {
      this.#nextAside = Math.max(this.#nextAside - 1, ASIDE.first)
      return
    }
    this.#average = 0
    this.#aside = this.#nextAside
    this.#nextAside = Math.min(this.#nextAside * 2, ASIDE.most)
  }

  #forgetSoon(): void {
    clearTimeout(this.#soon)
    this.#soon = undefined
  }

  #begin(): Promise<void> {
    this.#next = undefined
    this.#running = this.#once(() => this.#disk.sync(this.#fd)).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #once(sync: () => Promise<void> | void): Promise<void> {
    // The system forgets what it could not write: a later sync that succeeds says nothing about it.
    if (this.#broken) throw this.#broken
    try {
      await sync()
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
