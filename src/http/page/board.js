// The state of every connector and table, made of the server's answers and of what the page has seen before: rates come
// from the counters of successive answers. Nothing here knows of elements.

import { count, plural } from './words.js';

/** The figures of a sparkline. */
export const KEPT = 30;
/** Seconds over which the shown rate is taken. */
const SMOOTH = 10;
/** Seconds from which waiting is a problem. */
const PATIENT = 15;

/** Weights of problems. */
export const FINE = 0, WARNING = 1, ERROR = 2;

/** The rows per second of one table. */
class Rate {
  #seen = [];
  figures = [];
  perSecond;

  add(at, rows) {
    const last = this.#seen.at(-1);
    if (last && rows < last.rows) this.#seen = [];
    if (last && rows >= last.rows && at > last.at) this.figures.push(((rows - last.rows) / (at - last.at)) * 1000);
    if (this.figures.length > KEPT) this.figures.shift();
    this.#seen.push({ at, rows });
    while (this.#seen.length > 2 && at - this.#seen[1].at >= SMOOTH * 1000) this.#seen.shift();
    const first = this.#seen[0];
    this.perSecond = at > first.at ? ((rows - first.rows) / (at - first.at)) * 1000 : undefined;
  }
}

/** Figures of several tables, added. */
function sum(rates) {
  const figures = [];
  for (const { figures: own } of rates) {
    own.forEach((figure, index) => {
      const fromEnd = own.length - index;
      figures[KEPT - fromEnd] = (figures[KEPT - fromEnd] ?? 0) + figure;
    });
  }
  const known = rates.map((rate) => rate.perSecond).filter((rate) => rate !== undefined);
  const perSecond = known.length ? known.reduce((all, rate) => all + rate, 0) : undefined;
  return { figures: figures.filter((figure) => figure !== undefined), perSecond };
}

/** The problem of a table, most serious first. */
function problem(table, now) {
  const why = (severity, reason, advice) => ({ severity, reason, advice });
  const { reason, advice, guard = {} } = table;
  const lasts = (now - Date.parse(table.since)) / 1000;
  if (table.state === 'failed') return why(ERROR, reason ?? 'failed', advice);
  if (guard.at_risk) return why(ERROR, `Rows may have been lost: ${guard.at_risk.reason}`, guard.raise);
  if (table.state === 'backing_off') return why(WARNING, reason ?? 'the last poll failed', advice);
  if (table.state === 'waiting' && lasts > PATIENT) return why(WARNING, reason ?? 'waiting', advice);
  if (table.rows_skipped > 0) {
    return why(WARNING, `${plural(table.rows_skipped, 'row')} left out: ${table.skip_reason ?? 'they cannot be delivered'}`);
  }
  return why(FINE, reason, advice);
}

/** Findings that are no problem by themselves. */
function notes(table) {
  const found = (table.not_polled ?? []).map((rows) => `${rows.or_more ? 'more than ' : ''}${plural(rows.rows, 'row')} not polled (${rows.reason.replaceAll('_', ' ')})`);
  if (table.guard?.blocker) found.push(`newer rows wait for ${table.guard.blocker}`);
  if (table.began_anew) found.push('began anew and was read from its beginning');
  if (table.skipped_columns?.length) found.push(`${plural(table.skipped_columns.length, 'column')} left out`);
  return found;
}

/** The share of a first load, and the seconds it still takes by its speed. */
export function progress(load, perSecond, now) {
  const seconds = Math.max(1, (now - Date.parse(load.since)) / 1000);
  const speed = perSecond > 0 ? perSecond : load.rows / seconds;
  const all = load.estimated_rows;
  if (!all) return { rows: load.rows, speed };
  const left = Math.max(0, all - load.rows);
  return { rows: load.rows, all, share: Math.min(1, load.rows / all), left: speed > 0 ? left / speed : undefined, speed };
}

export class Board {
  connectors = new Map();
  tables = new Map();
  /** The server's clock minus the browser's, in milliseconds. */
  skew = 0;
  /** Tables whose state has become a problem, or has ceased to be one, with the last answer. */
  changes = [];
  #isFirst = true;

  /** The server's clock. */
  now() {
    return Date.now() + this.skew;
  }

  /** Takes an answer of /status, and one of /connectors?expand=status if there is one. `at` counts up in milliseconds. */
  take(status, connect, date, at) {
    // The header has whole seconds; a difference of one is none.
    const skew = Number.isNaN(date) ? 0 : date - Date.now();
    this.skew = Math.abs(skew) > 2000 ? skew : 0;
    this.changes = [];
    const kept = { connectors: new Set(), tables: new Set() };
    for (const one of status.connectors) this.#connector(one, connect, at, kept);
    for (const [name, { status: told }] of Object.entries(connect ?? {})) {
      if (!kept.connectors.has(name) && told) this.#unknown(name, told, kept);
    }
    for (const key of this.connectors.keys()) if (!kept.connectors.has(key)) this.connectors.delete(key);
    for (const key of this.tables.keys()) if (!kept.tables.has(key)) this.tables.delete(key);
    this.#isFirst = false;
  }

  #connector(one, connect, at, kept) {
    kept.connectors.add(one.name);
    const told = connect && Object.hasOwn(connect, one.name) ? connect[one.name].status : undefined;
    const tables = one.tables.map((table) => this.#table(one, table, at, kept));
    const item = this.#item(this.connectors, one.name, { key: one.name, name: one.name });
    const trouble = tables.filter((table) => table.severity > FINE);
    Object.assign(item, {
      state: one.state, isOurs: true, tasks: told?.tasks?.length, tables: tables.length, trouble: trouble.length,
      lag: highest(tables.map((table) => table.lag)), rate: sum(tables.map((table) => table.rate)),
      rows: tables.reduce((all, table) => all + table.rows, 0),
      loading: tables.filter(isLoading).length, ...ownProblem(one, trouble),
    });
  }

  #table(connector, table, at, kept) {
    const key = JSON.stringify([connector.name, table.table]);
    kept.tables.add(key);
    const item = this.#item(this.tables, key, { key, connector: connector.name, name: table.table, rate: new Rate() });
    const before = item.severity;
    item.rate.add(at, table.rows);
    Object.assign(item, {
      raw: table, state: table.state, since: Date.parse(table.since), lag: table.lag_seconds, rows: table.rows, load: table.load,
      notes: notes(table), ...problem(table, this.now()),
    });
    if (item.severity > FINE) item.last = { reason: item.reason, advice: item.advice, at: this.now() };
    if (!this.#isFirst && (before ?? FINE) !== item.severity) this.changes.push(item);
    return item;
  }

  /** A connector without a status of its own: of a class that rowtide does not run. */
  #unknown(name, told, kept) {
    kept.connectors.add(name);
    const state = (told.connector?.state ?? '').toLowerCase();
    const isOurs = state !== 'unassigned';
    Object.assign(this.#item(this.connectors, name, { key: name, name }), {
      state: isOurs ? state : 'other', isOurs, tasks: told.tasks?.length, tables: 0, trouble: 0, lag: undefined, rows: 0, loading: 0,
      rate: { figures: [], perSecond: undefined }, severity: state === 'failed' ? ERROR : FINE,
      reason: isOurs ? told.connector?.trace : `A ${told.type} of another class: left to the Kafka Connect workers that share its topic.`,
      advice: undefined, isOwnProblem: state === 'failed',
    });
  }

  #item(map, key, fresh) {
    if (!map.has(key)) map.set(key, fresh);
    return map.get(key);
  }

  /** Numbers for the head of the page. */
  totals() {
    const tables = [...this.tables.values()], connectors = [...this.connectors.values()];
    const own = connectors.filter((one) => one.isOwnProblem);
    const worse = (severity) => [...tables, ...own].filter((item) => item.severity === severity).length;
    return {
      connectors: connectors.length, tables: tables.length, errors: worse(ERROR), warnings: worse(WARNING),
      loading: tables.filter(isLoading).length, rate: sum(tables.map((table) => table.rate)).perSecond,
    };
  }
}

/** True in a first load; a backfill is none. */
const isLoading = (table) => table.load && !table.raw.backfill;

function highest(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? Math.max(...known) : undefined;
}

/** The problem of a connector: its own, or the sum of its tables'. */
function ownProblem(one, trouble) {
  const failed = trouble.filter((table) => table.severity === ERROR).length;
  // One that has failed because its tables have is one failure of each of these, and none more.
  const own = (severity, reason, advice) => ({ severity, reason, advice, isOwnProblem: failed === 0 });
  if (one.state === 'failed') return own(ERROR, one.error ?? 'failed', one.advice);
  if (one.error) return own(WARNING, one.error, one.advice);
  if (one.nothing_selected) return own(WARNING, one.nothing_selected.reason, one.nothing_selected.advice);
  const severity = trouble.reduce((worst, table) => Math.max(worst, table.severity), FINE);
  const parts = [];
  if (failed) parts.push(`${count(failed)} of ${plural(one.tables.length, 'table')} failed`);
  if (trouble.length > failed) parts.push(`${plural(trouble.length - failed, 'table')} with a warning`);
  const loading = one.tables.filter((table) => table.load && !table.backfill).length;
  if (loading) parts.push(`${count(loading)} in first load`);
  return { severity, reason: parts.join(', '), advice: undefined, isOwnProblem: false };
}

/** Items that hold every word of a search. */
export function search(items, text, textOf) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return items;
  return items.filter((item) => {
    const all = textOf(item).toLowerCase();
    return words.every((word) => all.includes(word));
  });
}
