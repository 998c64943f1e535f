// Requests to the server that gave the page: Kafka Connect's REST, /status, and /rowtide/v1 where it is there.

const TOKEN = 'rowtide.token';
const PATIENCE = 20_000;

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (text) => sessionStorage.setItem(TOKEN, text),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** An answer that is an error, or none at all (status 0). */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** A connector, and a table of one, as parts of a path. */
export const connectorPath = (name) => `connectors/${encodeURIComponent(name)}`;
export const tablePath = (connector, table) =>
  `rowtide/v1/connectors/${encodeURIComponent(connector)}/tables/${encodeURIComponent(table)}`;

/** Sends a request. Paths are relative, so that the page may stand behind a proxy's prefix. */
export async function call(method, path, { body, signal, patience = PATIENCE } = {}) {
  const headers = { Accept: 'application/json' };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const deadline = AbortSignal.timeout(patience);
  const options = { method, headers, cache: 'no-store', signal: signal ? AbortSignal.any([signal, deadline]) : deadline };
  if (body !== undefined) options.body = typeof body === 'string' ? body : JSON.stringify(body);
  let response, text;
  try {
    response = await fetch(path, options);
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, deadline.aborted ? `no answer within ${patience / 1000} s` : 'the server does not answer');
  }
  const answer = parsed(text);
  if (!response.ok) throw new Refusal(response.status, answer?.message ?? `HTTP ${response.status}`);
  return { status: response.status, body: answer, date: Date.parse(response.headers.get('date') ?? '') };
}

function parsed(text) {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The calls of /rowtide/v1 that the running server has. */
export class Abilities {
  #paths = new Map();
  isKnown = false;

  /** Asks for the server's description; one that has none has only what Kafka Connect has. While it starts, it does not say. */
  async ask() {
    try {
      this.#paths.clear();
      const { body } = await call('GET', 'rowtide/v1/openapi.json');
      for (const [path, methods] of Object.entries(body?.paths ?? {})) {
        const key = path.replace(/^.*\/rowtide\/v1/, '').replace(/\{[^}]*\}/g, '*');
        this.#paths.set(key, Object.keys(methods));
      }
      this.isKnown = true;
    } catch (error) {
      this.isKnown = error.status === 404;
      if (!this.isKnown && error.status !== 503) throw error;
    }
  }

  // True if there is a call; the names in its path are `*`.
  has(method, path) {
    return this.#paths.get(`/${path}`)?.includes(method) ?? false;
  }

  // The same for the paths below a table.
  hasOfTable(method, path = '') {
    return this.has(method, `connectors/*/tables/*${path}`);
  }
}
