import { link } from './address.js'
import { ask, isOperator, queryOf } from './api.js'
import { html, useMemo, useState } from './library.js'
import { Answer, Confirm, Curl, EndingLink, State, When } from './parts.js'
import { usePolled } from './polled.js'
import { now, span } from './time.js'

const [MINUTE_MS, HOUR_MS] = [60_000, 3_600_000]
const MOST_SHOWN = 200

/** What somebody who has just been woken looks at. */
export function Now({ status }) {
  return html`<${Answer} polled=${status} what="How it is">${(data) => html`
    <${Calls} data=${data} again=${status.again} />
    <section aria-labelledby="numbers">
      <h2 id="numbers">Endings</h2>
      <ul class="numbers">
        <li><a href=${link('ledger', '', { state: 'pending', sort: 'dueAt' })}><b>${data.pending}</b> pending</a></li>
        <li class=${data.overdue > 0 ? 'warn' : ''}><a href=${link('ledger', '', { state: 'pending', sort: 'dueAt' })}><b>${data.overdue}</b> overdue</a>${data.oldestOverdue ? html` <small>since <${When} at=${data.oldestOverdue} isBare /></small>` : ''}</li>
        <li class=${data.failedLastDay > 0 ? 'bad' : ''}><a href=${link('ledger', '', { state: 'failed' })}><b>${data.failedLastDay}</b> failed within a day</a></li>
        <li><${Live} /></li>
        <li class=${data.notifications.failing.length > 0 ? 'bad' : ''}><a href=${link('notifications')}><b>${data.notifications.pending}</b> notifications wait</a></li>
      </ul>
    </section>
    <${NextHour} />
    <${LastHour} />
    <${Curl} requests=${[['GET', '/status']]} />
  `}<//>`
}

const SAYS = {
  ok: 'Calls leave.',
  paused: 'No call leaves: somebody has pulled the brake.',
  rate_limited: 'No call leaves: Digital Samba has asked to be left alone for a while.',
  refused: 'No call leaves: Digital Samba refuses the credentials. A probe asks once a minute.',
  failing: 'Digital Samba does not answer sensibly: one call a second asks whether it does again.',
}

function Calls({ data: { calls, pauses }, again }) {
  const [dialog, setDialog] = useState(null)
  const close = () => {
    setDialog(null)
    again()
  }
  const isAllPaused = pauses.some(({ caller }) => caller === null)
  return html`<section aria-labelledby="calls" class=${`calls ${calls.state}`}>
    <h2 id="calls">Calls to Digital Samba: <${State} is=${calls.state} /></h2>
    <p>${SAYS[calls.state]}${calls.why ? ` ${calls.why}.` : ''}${calls.since ? html` Since <${When} at=${calls.since} />.` : ''}${calls.until ? html` Until <${When} at=${calls.until} />.` : ''}</p>
    <p class="gauge"><label for="budget">Budget: ${calls.budgetLeft} calls could leave now</label> <meter id="budget" min="0" max="1000" low="100" optimum="1000" value=${calls.budgetLeft}>${calls.budgetLeft}</meter></p>
    ${pauses.map(
      (pause) => html`<p class="notice warn">
        <b>${pause.caller === null ? 'Everything' : pause.caller}</b> is paused by ${pause.pausedBy} since <${When} at=${pause.since} />: ${pause.reason}
        ${isOperator() ? html` <button onClick=${() => setDialog({ is: 'resume', pause })}>Let it go on…</button>` : ''}
      </p>`,
    )}
    ${isOperator() && !isAllPaused ? html`<p><button class="brake" onClick=${() => setDialog({ is: 'pause' })}>Pause all calls…</button></p>` : ''}
    ${dialog?.is === 'pause' ? html`<${Pause} onClose=${close} />` : ''}
    ${dialog?.is === 'resume' ? html`<${Resume} pause=${dialog.pause} onClose=${close} />` : ''}
  </section>`
}

function Pause({ onClose }) {
  const act = async (form) => {
    const caller = form.get('caller').trim()
    const said = await ask('POST', '/v1/pause', { reason: form.get('reason'), ...(caller ? { caller } : {}) })
    return said.callsOnTheirWay
      ? 'Paused. A call may still be on its way.'
      : `Paused: no call is on its way${said.caller ? ` for ${said.caller}` : ''}.`
  }
  return html`<${Confirm} title="Pause calls?" verb="Pause" act=${act} onClose=${onClose} request=${['POST', '/v1/pause', { reason: '…' }]}>
    <p>No session is ended any more until somebody lets it go on. What is asked for is accepted all the same.</p>
    <label class="field"><span>Why? Others will read it</span><input name="reason" required maxlength="500" autocomplete="off" /></label>
    <label class="field"><span>Whose endings only (empty: all)</span><input name="caller" autocomplete="off" pattern="[a-z][a-z0-9\\-]*" /></label>
  <//>`
}

function Resume({ pause, onClose }) {
  const whose = pause.caller === null ? {} : { caller: pause.caller }
  const act = async (form) => {
    const said = await ask('POST', '/v1/resume', { ...whose, missed: form.get('missed') })
    return `It goes on. ${said.cancelled} were taken back.`
  }
  return html`<${Confirm} title=${`Let ${pause.caller ?? 'everything'} go on?`} verb="Let it go on" tone="good" act=${act} onClose=${onClose} request=${['POST', '/v1/resume', { ...whose, missed: 'do' }]}>
    <p>Paused by ${pause.pausedBy}: ${pause.reason}</p>
    <fieldset>
      <legend>What came due meanwhile</legend>
      <label><input type="radio" name="missed" value="do" checked /> is carried out</label>
      <label><input type="radio" name="missed" value="cancel" /> is taken back</label>
    </fieldset>
  <//>`
}

function Live() {
  const live = usePolled('/v1/sessions?live=true', 30_000)
  if (live.data === null) return html`<a href=${link('sessions')}><b>–</b> live sessions</a>`
  const { data, nextCursor } = live.data
  return html`<a href=${link('sessions')}><b>${data.length}${nextCursor ? '+' : ''}</b> live sessions</a>`
}

/** What comes due in each minute of the next hour, by caller. */
function NextHour() {
  const minute = Math.floor(now.value / MINUTE_MS)
  const until = new Date((minute + 60) * MINUTE_MS).toISOString()
  const path = useMemo(
    () => `/v1/endings${queryOf({ state: 'pending', sort: 'dueAt', dueBefore: until, limit: MOST_SHOWN })}`,
    [until],
  )
  const due = usePolled(path, 10_000)
  return html`<section aria-labelledby="next">
    <h2 id="next">The next hour</h2>
    <${Answer} polled=${due} what="The next hour">${({ data, nextCursor }) => html`<${Bars} endings=${data} from=${minute * MINUTE_MS} isMore=${nextCursor !== null} />`}<//>
    <${Curl} requests=${[['GET', path]]} />
  </section>`
}

function Bars({ endings, from, isMore }) {
  const callers = [...new Set(endings.map(({ requestedBy }) => requestedBy))].sort()
  const minutes = Array.from({ length: 60 }, () => new Map())
  let overdue = 0
  for (const { dueAt, requestedBy } of endings) {
    const minute = Math.floor((Date.parse(dueAt) - from) / MINUTE_MS)
    if (minute < 0) overdue += 1
    const slot = minutes[Math.max(minute, 0)]
    slot?.set(requestedBy, (slot.get(requestedBy) ?? 0) + 1)
  }
  const most = Math.max(
    1,
    ...minutes.map((slot) => [...slot.values()].reduce((sum, count) => sum + count, 0)),
  )
  const [first] = endings
  const summary =
    endings.length === 0
      ? 'Nothing comes due within the hour.'
      : `${endings.length}${isMore ? ' or more' : ''} come due within the hour${overdue > 0 ? `, ${overdue} of them are overdue` : ''}; ${most} at most in one minute.`
  return html`
    <p>${summary} ${first ? html`The first: <${EndingLink} id=${first.id} text=${first.key ?? first.id} />, due <${When} at=${first.dueAt} />, of ${first.requestedBy}.` : ''}</p>
    ${
      endings.length === 0
        ? ''
        : html`<svg class="bars" viewBox="0 0 600 104" role="img" aria-label=${summary} preserveAspectRatio="none">
      ${minutes.map((slot, i) => {
        let y = 100
        return callers.map((caller, c) => {
          const height = ((slot.get(caller) ?? 0) / most) * 96
          if (height === 0) return ''
          y -= height
          return html`<rect class=${`caller-${c % 6}`} x=${i * 10 + 1} y=${y} width="8" height=${height}><title>${`in ${i} min: ${slot.get(caller)} of ${caller}`}</title></rect>`
        })
      })}
      <line x1="0" x2="600" y1="101" y2="101" />
    </svg>
    <p class="axis" aria-hidden="true"><span>now</span><span>in 30 min</span><span>in an hour</span></p>
    <ul class="legend">${callers.map((caller, c) => html`<li><span class=${`swatch caller-${c % 6}`}></span>${caller}: ${endings.filter(({ requestedBy }) => requestedBy === caller).length}</li>`)}</ul>`
    }
  `
}

function LastHour() {
  const from = new Date(Math.floor(now.value / MINUTE_MS) * MINUTE_MS - HOUR_MS).toISOString()
  const path = useMemo(() => `/v1/statistics${queryOf({ step: 'minute', from })}`, [from])
  const hour = usePolled(path, 10_000)
  return html`<section aria-labelledby="last">
    <h2 id="last">The last hour</h2>
    <${Answer} polled=${hour} what="The last hour">${({ data }) => {
      const total = new Map()
      for (const { finished } of data)
        for (const [name, count] of Object.entries(finished)) total.set(name, (total.get(name) ?? 0) + count)
      const most = Math.max(0, ...data.map(({ lateness }) => lateness?.mostMs ?? 0))
      if (total.size === 0) return html`<p>Nothing was over within the hour.</p>`
      return html`<ul class="numbers">${[...total].sort().map(([name, count]) => html`<li><b>${count}</b> ${name}</li>`)}<li><b>${span(most)}</b> late at most</li></ul>`
    }}<//>
    <${Curl} requests=${[['GET', path]]} />
  </section>`
}
