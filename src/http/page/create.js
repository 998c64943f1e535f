// A connector is made of a pasted JSON, which is validated while it is typed by the call of Kafka Connect for that.

import { closable, tell } from './actions.js';
import { call } from './api.js';
import { at, el, setText, show } from './dom.js';
import { plural } from './words.js';

/** The pause in typing after which the server is asked. */
const PAUSE = 500;
const OURS = 'io.confluent.connect.jdbc.JdbcSourceConnector';

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/**
 * Name, settings and state at first of what was pasted: the body of `POST /connectors`, settings alone, or an answer of Kafka
 * Connect about one connector, with `expand=info` too. Throws what is wrong with it.
 */
export function understood(text) {
  let given = parsed(text);
  if (Array.isArray(given) && given.length === 1) [given] = given;
  if (Array.isArray(given)) throw new Error(`A list of ${given.length} connectors: paste one of them.`);
  if (!isObject(given)) throw new Error('A connector is an object: {"name": …, "config": {…}}.');
  const values = Object.values(given);
  if (values.length > 0 && values.every((value) => isObject(value) && isObject(value.info))) {
    if (values.length > 1) throw new Error(`An answer about ${values.length} connectors: paste one of them.`);
    given = values[0].info;
  }
  const isWhole = isObject(given.config);
  const config = isWhole ? given.config : given;
  const name = String((isWhole ? given.name : undefined) ?? config.name ?? '').trim();
  if (!name) throw new Error('The connector has no name: add "name".');
  return { name, config, state: isWhole && typeof given.initial_state === 'string' ? given.initial_state.toUpperCase() : undefined };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Not JSON yet: ${place(text, error.message)}`);
  }
}

/** The place of a mistake in lines, where the browser counts characters. The text is not repeated: it may hold passwords. */
function place(text, message) {
  const found = /position (\d+)/.exec(message);
  if (!found) return 'it ends too early, or has a sign too many.';
  const before = text.slice(0, Number(found[1])).split('\n');
  return `look at line ${before.length}, column ${before.at(-1).length + 1}.`;
}

export class Create {
  #asked;
  #timer;
  #errors = 0;

  constructor(board, refresh) {
    Object.assign(this, { board, refresh, dialog: at('create'), text: at('create-text') });
    closable(this.dialog);
    this.text.addEventListener('input', () => this.#typed());
    at('create-file').addEventListener('change', async (event) => {
      const [file] = event.target.files;
      if (!file) return;
      this.text.value = await file.text();
      this.#typed();
    });
    this.dialog.querySelector('form').addEventListener('submit', (event) => this.#submit(event));
    // What was pasted may hold passwords.
    this.dialog.addEventListener('close', () => this.#clear());
  }

  open() {
    this.#clear();
    this.dialog.showModal();
    this.text.focus();
  }

  #clear() {
    this.#asked?.abort();
    clearTimeout(this.#timer);
    this.text.value = '';
    at('create-file').value = '';
    this.#verdict('');
  }

  #typed() {
    this.#asked?.abort();
    clearTimeout(this.#timer);
    if (!this.text.value.trim()) return this.#verdict('');
    let given;
    try {
      given = understood(this.text.value);
    } catch (error) {
      return this.#verdict(error.message, 'bad');
    }
    if (given.state) at('create-state').value = given.state;
    this.#verdict('Validating…', '', [], given);
    this.#timer = setTimeout(() => this.#validate(given), PAUSE);
  }

  async #validate({ name, config }) {
    const asked = new AbortController();
    this.#asked = asked;
    const given = { 'connector.class': OURS, ...config, name };
    const path = `connector-plugins/${encodeURIComponent(given['connector.class'])}/config/validate`;
    try {
      const { body } = await call('PUT', path, { body: given, signal: asked.signal, patience: 100_000 });
      const errors = body.configs.flatMap(({ value }) => value.errors.map((message) => [value.name, message]));
      if (this.board.connectors.has(name)) errors.unshift(['name', `There is a connector ${name} already.`]);
      const found = body.configs.find(({ value }) => value.name === 'table.whitelist')?.value.recommended_values ?? [];
      const text = errors.length ? plural(errors.length, 'problem') : 'No problems: the database was reached.';
      this.#verdict(text, errors.length ? 'bad' : 'good', errors, { name, config }, found);
    } catch (error) {
      if (!asked.signal.aborted) this.#verdict(error.message, 'bad', [], { name, config });
    }
  }

  /** Shows the state of what is typed. `given` is there if it could be sent. */
  #verdict(text, tone = '', errors = [], given = undefined, found = []) {
    this.given = given;
    setText(at('create-verdict'), text);
    at('create-verdict').className = `verdict ${tone}`.trim();
    this.text.setAttribute('aria-invalid', String(tone === 'bad'));
    at('create-errors').replaceChildren(...errors.map(([key, message]) => el('li', {}, el('code', {}, key), message)));
    at('create-go').disabled = !given;
    setText(at('create-go'), tone === 'bad' && given ? 'Create all the same' : 'Create');
    show(at('create-found'), found.length > 0);
    setText(at('create-found').firstElementChild, `${plural(found.length, 'table')} in the database`);
    setText(at('create-found').lastElementChild, found.join(', '));
  }

  async #submit(event) {
    event.preventDefault();
    if (!this.given) return;
    const { name, config } = this.given;
    at('create-go').disabled = true;
    try {
      await call('POST', 'connectors', { body: { name, config, initial_state: at('create-state').value }, patience: 100_000 });
      this.dialog.close();
      tell(`${name} is made`);
      await this.refresh();
    } catch (error) {
      this.#verdict('It was not made.', 'bad', [[name, error.message]], this.given);
    }
  }
}
