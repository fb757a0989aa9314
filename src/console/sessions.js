import { go, link } from './address.js'
import { ask, mayAsk, mayChange } from './api.js'
import { html, useState } from './library.js'
import { Answer, Confirm, Curl, EndingLink, State, Table, targetText, When } from './parts.js'
import { usePolled } from './polled.js'

const named = (room) => room?.friendlyUrl ?? room?.externalId ?? room?.id ?? '–'

/** What is live, and what will end it. */
export function Sessions() {
  const [cursor, setCursor] = useState(null)
  const path = `/v1/sessions?live=true${cursor ? `&cursor=${cursor}` : ''}`
  const polled = usePolled(path, 10_000)
  const find = (event) => {
    event.preventDefault()
    go('session', new FormData(event.target).get('session').trim())
  }
  return html`
    <form class="filters" onSubmit=${find} aria-label="Find a session">
      <label class="field"><span>Why did it end? A session's id</span><input name="session" required autocomplete="off" spellcheck="false" pattern="[0-9a-fA-F\\-]{36}" /></label>
      <p class="actions"><button class="good">Look</button></p>
    </form>
    <${Answer} polled=${polled} what="What is live">${({ data, nextCursor }) => html`
      ${
        data.length === 0
          ? html`<p>Nobody is in a session now.</p>`
          : html`<${Table} name="Live sessions" head=${['Room', 'Session', 'Since', 'People', 'Ends', 'What can be done']}>
        ${data.map(
          (session) => html`<tr key=${session.id}>
            <td class="text">${named(session.room)}</td>
            <td><a href=${link('session', session.id)}><code>…${session.id.slice(-12)}</code></a></td>
            <td><${When} at=${session.startedAt} /></td>
            <td>${session.participants ?? '–'}</td>
            <td>${session.inForce ? html`<${When} at=${session.inForce.dueAt} /> <small>${session.inForce.reason} of ${session.inForce.requestedBy}</small> <${EndingLink} id=${session.inForce.ending} text="ending" />` : 'nothing ends it'}</td>
            <td><${Acts} session=${session.id} inForce=${session.inForce} again=${polled.again} /></td>
          </tr>`,
        )}
      <//>`
      }
      <p class="actions">${nextCursor ? html`<button onClick=${() => setCursor(nextCursor)}>More</button>` : ''}${cursor ? html`<button onClick=${() => setCursor(null)}>From the beginning</button>` : ''}</p>
    `}<//>
    <${Curl} requests=${[['GET', path]]} />
  `
}

function Acts({ session, inForce, again }) {
  const [dialog, setDialog] = useState(null)
  const close = () => {
    setDialog(null)
    again()
  }
  const end = ['POST', `/v1/sessions/${session}/end`, { reason: 'ended_by_hand', urgent: true }]
  const more = inForce && ['PATCH', `/v1/endings/${inForce.ending}`, { extendMinutes: 10 }]
  return html`<span class="actions">
    ${inForce && mayChange(inForce.requestedBy) ? html`<button onClick=${() => setDialog('more')}>Ten more minutes…</button>` : ''}
    ${mayAsk() ? html`<button onClick=${() => setDialog('end')}>End now…</button>` : ''}
    ${dialog === 'end' ? html`<${Confirm} title="End this session now?" verb="End it" onClose=${close} request=${end} act=${() => ask(...end)}><p>Everybody in <code>${session}</code> is sent home.</p><//>` : ''}
    ${dialog === 'more' ? html`<${Confirm} title="Ten more minutes?" verb="Ten more minutes" tone="good" onClose=${close} request=${more} act=${() => ask(...more)}><p>The ending that is in force is moved by ten minutes. Another's may come before it then.</p><//>` : ''}
  </span>`
}

/** One session, and why it ended or did not. */
export function Session({ id }) {
  const path = `/v1/sessions/${id}`
  const polled = usePolled(path, 5000)
  return html`<${Answer} polled=${polled} what="This session">${(session) => html`
    <p class="lead">${session.why}</p>
    <dl class="facts">
      <dt>Session</dt><dd><code>${session.id}</code></dd>
      <dt>Room</dt><dd>${named(session.room)}</dd>
      <dt>Live</dt><dd>${session.live === null ? 'nobody could tell' : session.live ? `yes, ${session.participants ?? '?'} people` : 'no'}</dd>
      <dt>Began</dt><dd><${When} at=${session.startedAt} /></dd>
      <dt>Over</dt><dd><${When} at=${session.overAt} /></dd>
      <dt>Rule</dt><dd>${session.rule ? `${session.rule.maxMinutes} minutes, of ${session.rule.requestedBy}` : 'none'}</dd>
      <dt>Holds</dt><dd>${session.holds.length === 0 ? 'none' : session.holds.map(({ reason, requestedBy }) => `${reason} of ${requestedBy}`).join('; ')}</dd>
    </dl>
    ${session.live === false ? '' : html`<${Acts} session=${session.id} inForce=${session.inForce} again=${polled.again} />`}
    <h2>Its endings</h2>
    ${
      session.endings.length === 0
        ? html`<p>None.</p>`
        : html`<${Table} name="Endings of this session" head=${['State', 'Due', 'Target', 'Reason', 'Of whom', 'Ending']}>
      ${session.endings.map((row) => html`<tr key=${row.id}><td><${State} is=${row.state} more=${row.outcome ?? row.failure} /></td><td><${When} at=${row.dueAt} /></td><td class="text">${targetText(row.target)}</td><td class="text">${row.reason}</td><td>${row.requestedBy}</td><td><${EndingLink} id=${row.id} text=${`…${row.id.slice(-12)}`} /></td></tr>`)}
    <//>`
    }
    <${Curl} requests=${[['GET', path]]} />
  `}<//>`
}
