import { link } from './address.js'
import { ask, key, mayChange } from './api.js'
import { html, useState } from './library.js'
import { Answer, Confirm, Curl, State, targetText, When } from './parts.js'
import { usePolled } from './polled.js'
import { clock, span } from './time.js'

/** One ending's life as a line, who and why, and what can still be done. */
export function Ending({ id }) {
  const path = `/v1/endings/${id}`
  const polled = usePolled(path, 2000)
  return html`<${Answer} polled=${polled} what="This ending">${(ending) => html`
    <p class="lead">${sentence(ending)}</p>
    <${Actions} ending=${ending} again=${polled.again} />
    <h2>Its life</h2>
    <ol class="life">${life(ending).map(({ at, what, detail, tone }) => html`<li class=${tone ?? ''}><${When} at=${at} isBare /> <b>${what}</b> ${detail ?? ''}</li>`)}</ol>
    <h2>As it stands</h2>
    <dl class="facts">
      <dt>State</dt><dd><${State} is=${ending.state} more=${ending.outcome ?? ending.failure} /></dd>
      <dt>Target</dt><dd>${ending.target.session ? html`<a href=${link('session', ending.target.session)}>${targetText(ending.target)}</a>` : targetText(ending.target)}</dd>
      <dt>Due</dt><dd><${When} at=${ending.dueAt} /></dd>
      ${ending.nextAttemptAt ? html`<dt>Tried next</dt><dd><${When} at=${ending.nextAttemptAt} /></dd>` : ''}
      <dt>Key</dt><dd>${ending.key ?? '–'}</dd>
      <dt>Subject</dt><dd>${ending.subject ?? '–'}</dd>
      ${ending.lastError ? html`<dt>Last trouble</dt><dd>${ending.lastError.error} (<${When} at=${ending.lastError.at} isBare />)</dd>` : ''}
      <dt>Metadata</dt><dd><pre tabindex="0">${JSON.stringify(ending.metadata, null, 2)}</pre></dd>
      <dt>Id</dt><dd><code>${ending.id}</code></dd>
    </dl>
    <${Curl} requests=${[['GET', path], ['GET', `${path}/receipt`]]} />
  `}<//>`
}

function sentence({ state, outcome, failure, target, requestedBy, reason, dueAt, finishedAt }) {
  const what = `${requestedBy} asked to end ${targetText(target)} (${reason})`
  if (state === 'pending') return `${what}; it is due ${clock(dueAt)}.`
  if (state === 'cancelled') return `${what}; it was taken back at ${clock(finishedAt)}.`
  if (state === 'failed') return `${what}; it was given up at ${clock(finishedAt)}: ${failure}.`
  const how = {
    ended: 'it was ended',
    already_ended: 'it was over already',
    nothing_live: 'nobody was there',
  }
  return `${what}; ${how[outcome]} at ${clock(finishedAt)}.`
}

const CHANGES = {
  moved: 'moved',
  replaced: 'replaced',
  cancelled: 'taken back',
  retried: 'tried again',
  reopened: 'still live: ended again',
}

function life(ending) {
  const { attempts = [], changes = [], warnings = [], notifications = [] } = ending
  const events = [
    { at: ending.createdAt, what: 'asked for', detail: `by ${ending.requestedBy}` },
    ...changes.map(({ at, by, change, from, to }) => ({
      at,
      what: CHANGES[change] ?? change,
      detail: `by ${by}: ${brief(from)} → ${brief(to)}`,
    })),
    ...warnings.map(({ markedAt, toldMinutes, result }) => ({
      at: markedAt,
      what: 'warned',
      detail: `of ${toldMinutes} minutes: ${result}`,
    })),
    { at: ending.dueAt, what: 'due' },
    ...attempts.map(({ startedAt, attempt, session, status, durationMs, result, error }) => ({
      at: startedAt,
      what: `call ${attempt}: ${result}`,
      detail: `${status ?? 'no answer'} after ${durationMs} ms, session ${session}${error ? `: ${error}` : ''}`,
      tone: result === 'ended' || result === 'already_ended' ? 'good' : 'bad',
    })),
    ...(ending.finishedAt && ending.state !== 'cancelled'
      ? [
          {
            at: ending.finishedAt,
            what: ending.state === 'ended' ? 'over' : 'given up',
            detail: `${ending.outcome ?? ending.failure}, ${late(ending)}`,
            tone: ending.state === 'ended' ? 'good' : 'bad',
          },
        ]
      : []),
    ...(ending.confirmedAt
      ? [
          {
            at: ending.confirmedAt,
            what: 'confirmed',
            detail: 'its session was seen to be over',
            tone: 'good',
          },
        ]
      : []),
    ...notifications.map(({ createdAt, finishedAt, type, state, attempt }) => ({
      at: finishedAt ?? createdAt,
      what: state === 'told' ? 'told' : state === 'failed' ? 'not told' : 'to be told',
      detail: `${type}, ${attempt} ${attempt === 1 ? 'try' : 'tries'}`,
      tone: state === 'failed' ? 'bad' : '',
    })),
  ]
  return events.sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
}

const brief = (value) =>
  Object.entries(value ?? {})
    .map(([name, one]) => `${name} ${typeof one === 'object' ? JSON.stringify(one) : one}`)
    .join(', ') || '–'
const late = ({ dueAt, finishedAt }) => {
  const ms = Date.parse(finishedAt) - Date.parse(dueAt)
  return `${span(ms)} ${ms < 0 ? 'before' : 'after'} it was due`
}

function Actions({ ending, again }) {
  const [dialog, setDialog] = useState(null)
  const { id, state } = ending
  const close = () => {
    setDialog(null)
    again()
  }
  const path = `/v1/endings/${id}`
  const ACTS = {
    more: {
      title: 'Ten more minutes?',
      verb: 'Ten more minutes',
      tone: 'good',
      request: ['PATCH', path, { extendMinutes: 10 }],
    },
    cancel: {
      title: 'Take it back?',
      verb: 'Take it back',
      tone: 'bad',
      request: ['POST', `${path}/cancel`, {}],
    },
    retry: {
      title: 'Try it again?',
      verb: 'Try again',
      tone: 'good',
      request: ['POST', `${path}/retry`, {}],
    },
  }
  const act = dialog && ACTS[dialog]
  return html`<p class="actions">
    ${mayChange(ending.requestedBy) && state === 'pending' ? html`<button onClick=${() => setDialog('more')}>Ten more minutes…</button> <button onClick=${() => setDialog('cancel')}>Take it back…</button>` : ''}
    ${mayChange(ending.requestedBy) && state === 'failed' ? html`<button onClick=${() => setDialog('retry')}>Try it again…</button>` : ''}
    <button onClick=${() => download(id)}>Receipt</button>
    ${act ? html`<${Confirm} ...${act} onClose=${close} act=${() => ask(...act.request)}><p>${sentence(ending)}</p><//>` : ''}
  </p>`
}

/** With the key, and so not by a link of its own. */
async function download(id) {
  if (key.value === null) return
  const receipt = await ask('GET', `/v1/endings/${id}/receipt`)
  const url = URL.createObjectURL(new Blob([JSON.stringify(receipt, null, 2)], { type: 'application/json' }))
  const anchor = Object.assign(document.createElement('a'), { href: url, download: `curfew-${id}.json` })
  anchor.click()
  URL.revokeObjectURL(url)
}
