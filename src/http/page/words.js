// Figures, durations and states in words.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export const count = (number) => whole.format(number);
export const compact = (number) => (number < 100_000 ? whole.format(number) : short.format(number));
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** Rows per second. */
export function rate(perSecond) {
  if (perSecond === undefined) return '–';
  if (perSecond > 0 && perSecond < 9.95) return `${tenth.format(perSecond)}/s`;
  return `${compact(perSecond)}/s`;
}

/** Seconds as people say them. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return '–';
  if (seconds < 9.95) return `${tenth.format(Math.max(0, seconds))} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${tenth.format(seconds / 3600)} h`;
  return `${tenth.format(seconds / 86_400)} days`;
}

/** The same without tenths, for what counts up on the screen. */
export const age = (seconds) => (seconds < 9.95 ? `${Math.max(0, Math.round(seconds))} s` : duration(seconds));

const two = (number) => String(number).padStart(2, '0');

/** A wall clock of the browser: with the date if that is not today's. */
export function clock(millis) {
  const date = new Date(millis);
  if (Number.isNaN(date.getTime())) return '–';
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

/** The states of tables and connectors: word, icon, colour. */
const STATES = {
  loading: ['loading', 'loading', 'info'],
  live: ['live', 'live', 'good'],
  idle: ['idle', 'idle', 'good'],
  waiting: ['waiting', 'waiting', 'warn'],
  backing_off: ['backing off', 'backing_off', 'warn'],
  failed: ['failed', 'failed', 'bad'],
  stopped: ['stopped', 'stopped', ''],
  paused: ['paused', 'paused', ''],
  starting: ['starting', 'starting', 'info'],
  running: ['running', 'running', 'good'],
  restarting: ['restarting', 'backing_off', 'info'],
  other: ['not ours', 'other', ''],
};

/** A state that this page does not know is shown by its own word. */
export function state(name) {
  const [word, icon, tone] = Object.hasOwn(STATES, name) ? STATES[name] : [String(name), 'other', ''];
  return { word, icon, tone };
}

/** The meaning of a guard's level. */
const LEVELS = {
  exact: 'rows that commit late are neither lost nor repeated',
  partial: 'late rows are neither lost nor repeated, but for those of an id that was read before they came',
  hold: 'neither lost nor repeated; rows wait until older transactions have ended',
  rescan: 'not lost within a fixed time; a restart may repeat some',
  delay: 'not lost if they come within a fixed delay',
  off: 'rows that commit late are lost, as in Kafka Connect',
};

export const level = (name) => (Object.hasOwn(LEVELS, name) ? LEVELS[name] : '');

const SECRET = /password|passwd|secret|token|credential|private[._]?key|sasl\.jaas|basic\.auth\.user\.info/i;

/** A setting's value as it may stand on a screen. */
export function masked(key, value) {
  const text = String(value);
  if (/^\$\{[^}]*\}$/.test(text)) return text;
  if (SECRET.test(key)) return '••••••';
  return text.replace(/(:\/\/[^/@:\s]*:)[^@\s]*@/g, '$1••••••@').replace(/([?&;][^=&;]*(?:password|secret|token)[^=&;]*=)[^&;]*/gi, '$1••••••');
}
