import { ask, mayAsk, mayChange } from './api.js'
import { html, useState } from './library.js'
import { Answer, Confirm, Curl, Field, Table, targetText, When } from './parts.js'
import { usePolled } from './polled.js'

const [RULES, HOLDS] = ['/v1/time-limits?limit=200', '/v1/holds?limit=200']
const pathOf = (room) => `/v1/time-limits/${encodeURIComponent(room)}`

/** How long sessions may last, and rooms that are kept closed. */
export function Rules() {
  const rules = usePolled(RULES, 5000)
  const holds = usePolled(HOLDS, 5000)
  const [dialog, setDialog] = useState(null)
  const close = () => {
    setDialog(null)
    rules.again()
    holds.again()
  }
  return html`
    <section aria-labelledby="rules">
      <h2 id="rules">Rules</h2>
      ${mayAsk() ? html`<p class="actions"><button onClick=${() => setDialog(html`<${SetRule} onClose=${close} />`)}>New rule…</button></p>` : ''}
      <${Answer} polled=${rules} what="The rules">${({ data, nextCursor }) => html`
        ${
          data.length === 0
            ? html`<p>No room has a limit of its own.</p>`
            : html`<${Table} name="Rules" head=${['Room', 'At most', 'Warned', 'Of whom', 'Changed', 'What can be done']}>
          ${data.map(
            (rule) => html`<tr key=${rule.room}>
              <td class="text">${rule.room}</td>
              <td>${rule.maxMinutes} min</td>
              <td>${rule.warnMinutes === null ? 'as configured' : rule.warnMinutes.length === 0 ? 'never' : `${rule.warnMinutes.join(', ')} min before`}</td>
              <td>${rule.requestedBy}</td>
              <td><${When} at=${rule.updatedAt} /></td>
              <td>${mayChange(rule.requestedBy) ? html`<span class="actions"><button onClick=${() => setDialog(html`<${SetRule} rule=${rule} onClose=${close} />`)}>Change…</button> <button onClick=${() => setDialog(html`<${RemoveRule} rule=${rule} onClose=${close} />`)}>Remove…</button></span>` : ''}</td>
            </tr>`,
          )}
        <//>`
        }
        ${nextCursor ? html`<p>There are more: the list below as curl goes on with <code>cursor</code>.</p>` : ''}
      `}<//>
      <${Curl} requests=${[['GET', RULES]]} />
    </section>
    <section aria-labelledby="holds">
      <h2 id="holds">Rooms that are kept closed</h2>
      ${mayAsk() ? html`<p class="actions"><button onClick=${() => setDialog(html`<${KeepClosed} onClose=${close} />`)}>Keep a room closed…</button></p>` : ''}
      <${Answer} polled=${holds} what="The holds">${({ data }) => html`
        ${
          data.length === 0
            ? html`<p>Every room is open.</p>`
            : html`<${Table} name="Rooms that are kept closed" head=${['Room', 'From', 'Until', 'Reason', 'Of whom', 'What can be done']}>
          ${data.map(
            (hold) => html`<tr key=${hold.id}>
              <td class="text">${targetText(hold.target)}</td>
              <td><${When} at=${hold.holdFrom} /></td>
              <td>${hold.holdUntil ? html`<${When} at=${hold.holdUntil} />` : 'somebody opens it'}</td>
              <td class="text">${hold.reason}</td>
              <td>${hold.requestedBy}</td>
              <td>${mayChange(hold.requestedBy) ? html`<button onClick=${() => setDialog(html`<${Open} hold=${hold} onClose=${close} />`)}>Open it…</button>` : ''}</td>
            </tr>`,
          )}
        <//>`
        }
      `}<//>
      <${Curl} requests=${[['GET', HOLDS]]} />
    </section>
    ${dialog}
  `
}

function SetRule({ rule, onClose }) {
  const act = async (form) => {
    const warn = form.get('warn').trim()
    await ask('PUT', pathOf(rule?.room ?? form.get('room').trim()), {
      maxMinutes: Number(form.get('minutes')),
      ...(warn === '' ? {} : { warnMinutes: warn.split(/[\s,]+/).map(Number) }),
    })
  }
  return html`<${Confirm} title=${rule ? `Change the rule of ${rule.room}` : 'A new rule'} verb="Set it" tone="good" act=${act} onClose=${onClose} request=${['PUT', rule ? pathOf(rule.room) : '/v1/time-limits/ROOM', { maxMinutes: rule?.maxMinutes ?? 60 }]}>
    ${rule ? '' : html`<${Field} label="Room: its UUID, its friendly URL, or external: and its id" name="room" required=${true} />`}
    <${Field} label="Minutes that a session may last" name="minutes" type="number" min="1" max="10080" required=${true} value=${rule?.maxMinutes} />
    <${Field} label="Warnings, minutes before (empty: as configured)" name="warn" value=${rule?.warnMinutes?.join(', ')} />
    <p><small>Sessions that run already are brought in line with it.</small></p>
  <//>`
}

const RemoveRule = ({
  rule,
  onClose,
}) => html`<${Confirm} title=${`Remove the rule of ${rule.room}?`} verb="Remove it" onClose=${onClose} request=${['DELETE', pathOf(rule.room)]} act=${async () => void (await ask('DELETE', pathOf(rule.room)))}>
  <p>What it would have ended is taken back.</p>
<//>`

function KeepClosed({ onClose }) {
  const act = async (form) => {
    const [until, room] = [form.get('until'), form.get('room').trim()]
    const ending = await ask('POST', `/v1/rooms/${encodeURIComponent(room)}/end`, {
      reason: form.get('reason').trim() || 'closed_by_hand',
      holdUntil: new Date(until).toISOString(),
    })
    return `Whoever is in it is sent home, and so is whoever comes until then (ending ${ending.id}).`
  }
  return html`<${Confirm} title="Keep a room closed" verb="Close it" act=${act} onClose=${onClose} request=${['POST', '/v1/rooms/ROOM/end', { holdUntil: '…' }]}>
    <${Field} label="Room: its UUID or its friendly URL" name="room" required=${true} />
    <${Field} label="Until" name="until" type="datetime-local" required=${true} />
    <${Field} label="Reason (a word)" name="reason" pattern="[a-z][a-z0-9_]*" />
    <p>What is live in it now is ended.</p>
  <//>`
}

const Open = ({
  hold,
  onClose,
}) => html`<${Confirm} title="Open this room again?" verb="Open it" tone="good" onClose=${onClose} request=${['DELETE', `/v1/holds/${hold.id}`]} act=${async () => void (await ask('DELETE', `/v1/holds/${hold.id}`))}>
  <p>${targetText(hold.target)}, closed by ${hold.requestedBy} (${hold.reason}).</p>
<//>`
