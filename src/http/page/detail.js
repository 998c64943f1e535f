// The sheet of one table or connector: its state as it changes, and what is asked of the server only on demand.

import { carryOut, confirm, connectorActions, drawActions, tableActions } from './actions.js';
import { call, connectorPath, tablePath } from './api.js';
import { progress } from './board.js';
import { chip, fillChip, loadText } from './columns.js';
import { at, el, icon, setAttribute, setText, show } from './dom.js';
import { age, clock, count, duration, level, masked, plural, rate } from './words.js';

/** Fills a list of terms; those without a value are left out. Lines that stay are kept. */
function describe(list, entries) {
  const wanted = entries.filter(([, value]) => value !== undefined && value !== null && value !== '');
  while (list.children.length > wanted.length * 2) list.lastChild.remove();
  wanted.forEach(([term, value], index) => {
    if (list.children.length <= index * 2) list.append(el('dt'), el('dd'));
    setText(list.children[index * 2], term);
    setText(list.children[index * 2 + 1], String(value));
  });
}

const when = (time, now) => (time ? `${clock(Date.parse(time))} (${age((now - Date.parse(time)) / 1000)} ago)` : undefined);
const yes = (list) => (list?.length ? list : undefined);

function part(title, ...children) {
  return el('section', { class: 'part' }, el('h3', {}, title), ...children);
}

/** A part whose content is asked for when a button is pressed, and again when it is pressed again. */
function onDemand(title, button, ask) {
  const content = el('div', { class: 'part', 'aria-live': 'polite' });
  const press = el('button', { type: 'button', class: 'small', onclick: async () => {
    press.setAttribute('aria-busy', 'true');
    try {
      content.replaceChildren(...await ask());
    } catch (error) {
      content.replaceChildren(el('p', { class: 'refusal' }, error.message));
    }
    press.removeAttribute('aria-busy');
  } }, button);
  return part(title, press, content);
}

const pre = (value) => el('pre', { tabindex: 0 }, typeof value === 'string' ? value : JSON.stringify(value, null, 2));
const titled = (title, value) => (value === undefined || value === null ? [] : [el('h3', {}, title), pre(value)]);

/** The answer of `explain`: the parts that are known under a title, all others as they are. */
function explained(answer) {
  const { sql, plan, index_serves: serves, index_ddl: ddl, bound, pages_end: end, key, value, schemas, guard, ...others } = answer;
  const nodes = [...titled('SQL', sql), ...titled('Bound to', yes(bound)?.join('\n')),
    ...titled('Plan', Array.isArray(plan) ? plan.join('\n') : plan)];
  if (serves !== undefined && serves !== null) nodes.push(el('p', {}, serves ? 'An index serves this query.' : 'No index serves this query.'));
  nodes.push(...titled('The index that would', ddl));
  if (end) nodes.push(el('p', {}, `Pages end ${end}.`));
  if (typeof guard === 'string') nodes.push(el('p', {}, `Guard: ${guard}`));
  else nodes.push(...titled('Guard', guard));
  for (const [name, schema] of Object.entries({ Key: key ?? schemas?.key, Value: value ?? schemas?.value })) {
    if (!schema) continue;
    const subject = schema.subject ? ` (${schema.subject})` : '';
    nodes.push(...titled(`${name} schema${subject}`, schema.schema ?? schema));
  }
  const rest = Object.fromEntries(Object.entries(others).filter(([name, found]) => name !== 'samples' && found !== null && (typeof found !== 'object' || Object.keys(found).length)));
  if (Object.keys(rest).length) nodes.push(el('h3', {}, 'More'), settingsList(rest));
  return nodes;
}

function settingsList(settings) {
  const list = el('dl');
  describe(list, Object.entries(settings).map(([key, value]) =>
    [key, value !== null && typeof value === 'object' ? JSON.stringify(value) : masked(key, value)]));
  return list;
}

/** A value without the name of its branch, which Avro's JSON puts around it: {"string": "apple"}. */
function plain(value) {
  const [branch, ...others] = value !== null && typeof value === 'object' ? Object.keys(value) : [];
  return others.length === 0 && /^(string|int|long|float|double|boolean|bytes)$/.test(branch ?? '') ? value[branch] : value;
}

/** Rows as a table: one column for each field of any of them. */
function rowsTable(rows) {
  if (!rows?.length) return [el('p', {}, 'There are no rows.')];
  const flat = rows.map((row) => (row !== null && typeof row === 'object' && !Array.isArray(row) ? row.value ?? row : { value: row }));
  const fields = [...new Set(flat.flatMap((row) => Object.keys(row)))];
  const text = (value) => (value === undefined ? '' : typeof plain(value) === 'string' ? plain(value) : JSON.stringify(plain(value)));
  const line = (row) => el('tr', {}, ...fields.map((field) => el('td', { title: text(row[field]) }, text(row[field]))));
  return [el('div', { class: 'values', tabindex: 0, role: 'group', 'aria-label': 'last rows' }, el('table', {},
    el('thead', {}, el('tr', {}, ...fields.map((field) => el('th', { scope: 'col' }, field)))), el('tbody', {}, ...flat.map(line))))];
}

let fields = 0;

/** An input with its label. */
function field(label, attributes) {
  const id = `field-${fields += 1}`, input = el('input', { id, autocomplete: 'off', spellcheck: false, ...attributes });
  return [input, el('label', { for: id }, label), input];
}

/** A form of one line; `send` is called with its button when it is complete. */
function form(title, hint, inputs, verb, send) {
  const button = el('button', { type: 'submit', class: 'small' }, verb);
  const line = el('form', { class: 'line', onsubmit: (event) => { event.preventDefault(); send(button); } }, ...inputs, button);
  return part(title, el('p', { class: 'hint' }, hint), line);
}

/** The form that sets a table's offset, after its name has been typed. */
function offsetForm(item, path, refresh) {
  const [time, ...timeLine] = field('After the time', { type: 'text', placeholder: '2024-02-29T12:00:00Z' });
  const [id, ...idLine] = field('After the id', { type: 'text', inputmode: 'numeric', pattern: '-?[0-9]+', title: 'a whole number' });
  const send = () => {
    // The digits as they are: numbers of JavaScript end at 2^53.
    const body = `{${[time.value.trim() && `"timestamp":${JSON.stringify(time.value.trim())}`,
      id.value.trim() && `"incrementing":${id.value.trim()}`].filter(Boolean).join(',')}}`;
    if (body === '{}') { time.focus(); return; }
    confirm({
      title: `Set the offset of ${item.name}?`, name: item.name, verb: 'Set', done: `${item.name} goes on from there`,
      work: async () => { await call('PUT', `${path}/offset`, { body, patience: 100_000 }); await refresh(); },
      lines: [`${item.name} is read from ${[time.value.trim() && `the time ${time.value.trim()}`, id.value.trim() && `the id ${id.value.trim()}`].filter(Boolean).join(' and ')} on.`,
        'Rows behind an earlier offset go to the topic once more; rows before a later one are not read.'],
    });
  };
  return form('Set the offset', 'Rows after it are read. A part that is left empty stays as it is, if the mode has it.', [...timeLine, ...idLine], 'Set the offset', send);
}

/** The form that has a table read again while it is polled. */
function backfillForm(item, path, refresh) {
  const [where, ...whereLine] = field('Only rows where', { type: 'text', placeholder: "region = 'eu'" });
  const [topic, ...topicLine] = field('To the topic', { type: 'text', placeholder: "the table's own" });
  const [most, ...mostLine] = field('Rows a second', { type: 'number', min: 1, max: 4_294_967_295, step: 1, placeholder: 'no limit' });
  const send = (button) => {
    const body = { where: where.value.trim() || null, topic: topic.value.trim() || null, rows_per_second: most.value ? Number(most.value) : null };
    const work = async () => { await call('POST', `${path}/backfill`, { body, patience: 100_000 }); await refresh(); };
    carryOut(button, work, `${item.name} is read again: its backfill stands beside it`);
  };
  return form('Read it again (backfill)', 'All rows up to the present position go to the topic once more, while polls go on. No older version of a row follows a newer one.',
    [...whereLine, ...topicLine, ...mostLine], 'Begin', send);
}

/** The form that gives a running connector another poll interval. */
function intervalForm(item) {
  const [millis, ...line] = field('Milliseconds', { type: 'number', min: 0, max: 2_147_483_647, step: 1, required: true });
  const work = () => call('PATCH', `rowtide/v1/${connectorPath(item.name)}`, { body: { 'poll.interval.ms': Number(millis.value) } });
  const send = (button) => carryOut(button, work, `${item.name} polls every ${count(Number(millis.value))} ms until it starts anew`);
  return form('Poll interval', 'Counts at once and until the connector starts anew; its settings stay. Tables with an interval of their own keep that.', line, 'Set the interval', send);
}

export class Detail {
  constructor(board, abilities, refresh) {
    Object.assign(this, { board, abilities, refresh });
    this.dialog = at('detail');
    this.dialog.addEventListener('close', () => this.#closed());
    // A press beside the sheet closes it.
    this.dialog.addEventListener('click', (event) => { if (event.target === this.dialog) this.dialog.close(); });
  }

  /** Opens the sheet of an item of the board. */
  open(item) {
    this.item = item;
    this.topic = undefined;
    const isTable = item.connector !== undefined;
    this.title = el('span');
    this.close = el('button', { type: 'button', class: 'close', 'aria-label': 'Close', onclick: () => this.dialog.close() }, icon('close'));
    this.tag = chip(item.state);
    this.since = el('span', { class: 'muted' });
    this.buttons = el('div', { class: 'do' });
    this.why = el('div', { class: 'why', hidden: true }, el('p'), el('p', { class: 'todo' }));
    this.figures = el('dl');
    const head = el('div', { class: 'head' }, el('h2', { id: 'detail-title' }, this.title,
      isTable ? el('span', { class: 'sub' }, `table of ${item.connector}`) : el('span', { class: 'sub' }, 'connector')),
    this.close, this.tag, this.since, this.buttons);
    const body = el('div', { class: 'body' }, this.why, part('Progress', this.figures), ...(isTable ? this.#tableParts() : this.#connectorParts()));
    this.dialog.replaceChildren(head, body);
    setText(this.title, item.name);
    this.update();
    if (!this.dialog.open) this.dialog.showModal();
    this.close.focus();
    history.replaceState(null, '', `#${isTable ? 'table' : 'connector'}=${encodeURIComponent(item.key)}`);
  }

  #closed() {
    this.item = undefined;
    history.replaceState(null, '', location.pathname + location.search);
  }

  #tableParts() {
    this.guard = el('dl');
    this.facts = el('ul', { class: 'facts' });
    this.factsPart = part('Worth knowing', this.facts);
    this.kept = el('div', { class: 'part' });
    if (this.item.raw.backfill) return [];
    const parts = [part('Rows that commit late', this.guard), this.factsPart];
    const path = tablePath(this.item.connector, this.item.name);
    if (this.abilities.hasOfTable('get')) {
      parts.push(part('Settings and stored offset', this.kept));
      this.#askSettings(path, this.kept);
    }
    if (this.abilities.hasOfTable('put', '/offset')) parts.push(offsetForm(this.item, path, this.refresh));
    if (this.abilities.hasOfTable('post', '/backfill')) parts.push(backfillForm(this.item, path, this.refresh));
    if (this.abilities.hasOfTable('get', '/explain')) {
      const ask = async () => explained((await call('GET', `${path}/explain`, { patience: 100_000 })).body);
      parts.push(onDemand('SQL, plan and schema', 'Ask the database', ask));
    }
    if (this.abilities.hasOfTable('get', '/samples')) {
      const ask = async () => rowsTable((await call('GET', `${path}/samples?limit=10`, { patience: 100_000 })).body.samples);
      parts.push(onDemand('Last rows', 'Show the last ten', ask));
    }
    if (parts.length === 2) {
      parts.push(el('p', { class: 'hint' }, 'This server does not answer /rowtide/v1. SQL, plan and schema: rowtide explain; the stored offset: rowtide offsets list.'));
    }
    return parts;
  }

  async #askSettings(path, place) {
    try {
      const { settings, offset } = (await call('GET', path)).body;
      if (this.kept === place) this.topic = settings?.topic;
      this.update();
      place.replaceChildren(settingsList(settings ?? {}), ...titled('Stored offset', offset ?? 'none yet'));
    } catch (error) {
      place.replaceChildren(el('p', { class: 'refusal' }, error.message));
    }
  }

  #connectorParts() {
    const path = `${connectorPath(this.item.name)}/config`;
    const parts = [onDemand('Settings', 'Show the settings', async () => [settingsList((await call('GET', path)).body)])];
    if (this.abilities.has('patch', 'connectors/*')) parts.push(intervalForm(this.item));
    return parts;
  }

  /** Brings the sheet up to date. */
  update() {
    const { item } = this;
    if (!item) return;
    const isGone = item.connector === undefined ? !this.board.connectors.has(item.key) : !this.board.tables.has(item.key);
    const now = this.board.now();
    fillChip(this.tag, isGone ? 'stopped' : item.state);
    setText(this.since, item.since ? `since ${clock(item.since)}, for ${age((now - item.since) / 1000)}` : '');
    const [reason, advice, tone] = isGone ? ['It is no longer there.', undefined, 'why calm'] : why(item);
    show(this.why, Boolean(reason));
    setAttribute(this.why, 'class', tone);
    setText(this.why.firstChild, reason);
    setText(this.why.lastChild, advice);
    show(this.why.lastChild, Boolean(advice));
    if (item.connector === undefined) {
      drawActions(this.buttons, isGone ? [] : connectorActions(item, this.refresh), item.name);
      this.#connectorFigures(item);
    } else {
      drawActions(this.buttons, isGone ? [] : tableActions(item, this.abilities, this.refresh, this.topic), item.name);
      this.#tableFigures(item, now);
    }
  }

  #connectorFigures(item) {
    describe(this.figures, [
      ['Tables', item.isOurs ? count(item.tables) : undefined], ['With a problem', item.trouble ? count(item.trouble) : undefined],
      ['In first load', item.loading ? count(item.loading) : undefined], ['Tasks', item.tasks],
      ['Largest lag', item.lag === undefined ? undefined : duration(item.lag)], ['Rows per second', rate(item.rate.perSecond)],
      ['Rows since start', count(item.rows)],
    ]);
  }

  #tableFigures(item, now) {
    const { raw } = item, { backfill } = raw;
    const load = item.load ? loadText(progress(item.load, item.rate.perSecond, now), backfill ? 'backfill' : 'first load') : undefined;
    describe(this.figures, [
      ['Read again', backfill?.of], ['Only rows where', backfill?.where], ['To the topic', backfill?.topic],
      ['Rows a second at most', backfill?.rows_per_second ? count(backfill.rows_per_second) : undefined],
      [backfill ? 'Progress' : 'First load', load], ['Position', raw.position ?? 'none yet'], ['Newest row', when(raw.newest, now)],
      ['Last good poll', when(raw.last_poll, now) ?? 'none yet'], ['Lag', backfill ? undefined : raw.lag_seconds === null ? 'not known: no timestamp column' : duration(raw.lag_seconds)],
      ['Rows behind', raw.rows_behind === null ? undefined : count(raw.rows_behind)], ['Rows per second', rate(item.rate.perSecond)],
      ['Rows since start', count(raw.rows)], ['Bytes since start', count(raw.bytes)],
      ['Rows left out', raw.rows_skipped ? `${count(raw.rows_skipped)}: ${raw.skip_reason ?? ''}` : undefined],
      ['Columns left out', yes(raw.skipped_columns)?.join('\n')],
      ['Began anew', raw.began_anew ? `${when(raw.began_anew.at, now)}, ${plural(raw.began_anew.times, 'time')}` : undefined],
      ['Last problem', item.severity === 0 && item.last ? `${clock(item.last.at)}: ${item.last.reason}` : undefined],
    ]);
    const guard = raw.guard ?? {};
    describe(this.guard, [
      ['Level', guard.level ? `${guard.level}: ${level(guard.level)}` : 'not known yet'], ['Method', guard.way],
      ['What would raise it', guard.raise], ['Not covered', guard.uncovered],
      ['At risk', guard.at_risk ? `${guard.at_risk.reason}\nsince ${when(guard.at_risk.since, now)}` : undefined],
      ['Newer rows wait for', guard.blocker],
      ['Oldest transaction', guard.oldest_transaction_seconds === null || guard.oldest_transaction_seconds === undefined ? undefined
        : `${duration(guard.oldest_transaction_seconds)}${guard.oldest_transaction ? `, ${guard.oldest_transaction}` : ''}`],
      ['Window', guard.window_seconds ? duration(guard.window_seconds) : undefined],
      ['Caught late', guard.late_rows ? plural(guard.late_rows, 'row') : undefined],
    ]);
    const facts = [...(raw.not_polled ?? []).map((rows) => rows.text), ...(raw.cursor_facts ?? []).map((fact) => `${fact.weight}: ${fact.column}: ${fact.text}`)];
    show(this.factsPart, facts.length > 0);
    if (this.facts.children.length !== facts.length) this.facts.replaceChildren(...facts.map(() => el('li')));
    facts.forEach((fact, index) => setText(this.facts.children[index], fact));
  }
}

/** The problem of an item: text, advice and look. */
function why(item) {
  const tone = ['why calm', 'why warn', 'why'][item.severity];
  return [item.reason, item.advice, tone];
}
