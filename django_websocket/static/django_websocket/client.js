// A websocket that comes back by itself.

const FIRST_DELAY = 500; // ms, as all times
const MAX_DELAY = 30_000;
const ATTEMPT_TIMEOUT = 10_000;
const STABLE_AFTER = 10_000;
const PROBE_INTERVAL = 60_000;
const BROKEN_AFTER = 3;
const MAX_QUEUE = 1000;
const MAX_QUEUED_SIZE = 1 << 20; // bytes and characters
const LOGGED_OUT = 4401;
const FINAL_CODES = [1000, 1002, 1003, 1007, 1008, 1009, 1010, LOGGED_OUT];
const ABNORMAL = 1006;
const TICKET = "django-websocket.ticket";

const LOCAL_HOST = /^(localhost|127\.[\d.]+|\[::1])$/;

const sizeOf = (data) => data.byteLength ?? data.size ?? String(data).length;

function parseEnvelope(text, resumes, isStream) {
  if (!resumes && !isStream) return;
  try {
    const { group, position = null, message, bytes } = JSON.parse(text);
    const data = bytes === undefined ? message : Uint8Array.from(atob(bytes), (char) => char.charCodeAt()).buffer;
    const isPosition = typeof position === "string" && /^[0-9a-z]+\.\d+$/.test(position);
    const isEnvelope = position === null ? isStream && bytes !== undefined : resumes && isPosition;
    if (isEnvelope && typeof group === "string" && data !== undefined) return { group, position, data };
  } catch {
    // It is none.
  }
}

class Connection extends EventTarget {
  state = "closed";
  transport = null;
  attempts = 0;
  code = null;
  #url;
  #options;
  #since;
  #positions = new Map();
  #link = null; // what is open
  #attempt = null; // to become the link
  #timer;
  #ticketTimer;
  #failures = 0; // of websockets, in a row
  #queue = [];
  #watch;

  constructor(url, options) {
    super();
    this.#url = new URL(url, location);
    this.#options = options;
    this.#since = options.since;
    this.retry();
  }

  send(data) {
    const link = this.#link;
    if (link?.native.readyState === 1 && !link.isStream) return link.native.send(data);
    if (this.#options.whileClosed !== "queue" || this.state === "closed") {
      throw new DOMException(`Not open, but ${this.state}`, "InvalidStateError");
    }
    const size = this.#queue.reduce((sum, queued) => sum + sizeOf(queued), sizeOf(data));
    if (size > MAX_QUEUED_SIZE || this.#queue.length >= MAX_QUEUE) {
      throw new DOMException("Too much is queued", "QuotaExceededError");
    }
    this.#queue.push(data.slice?.() ?? structuredClone(data));
  }

  sendJSON(value) {
    this.send(JSON.stringify(value));
  }

  close(code = 1000, reason = "") {
    if (this.state !== "closed") this.#end(code, reason);
  }

  retry() {
    const ended = this.state === "closed";
    if (ended) this.attempts = this.#failures = 0;
    if (!this.#attempt && this.#link?.isStream !== false) this.#try();
    if (ended && this.state !== "closed") this.#watchPage();
  }

  #watchPage() {
    const { signal } = (this.#watch = new AbortController());
    const on = (target, type, listener) => target?.addEventListener(type, listener, { signal });
    on(globalThis, "online", () => this.retry());
    on(globalThis, "pageshow", () => this.retry());
    on(globalThis.document, "visibilitychange", () => document.hidden || this.retry());
    on(globalThis, "offline", () => {
      this.#drop();
      this.#try();
    });
    on(globalThis, "pagehide", () => {
      this.#drop();
      this.#show("waiting");
    });
  }

  #try() {
    const { eventStream, ticket } = this.#options;
    const isStream = this.#failures >= BROKEN_AFTER && !!eventStream && !this.#link;
    const attempt = { isStream };
    if (!ticket || isStream) this.#dial(attempt);
    clearTimeout(this.#timer);
    this.#attempt = attempt;
    this.#timer = setTimeout(() => {
      this.#failures += BROKEN_AFTER;
      this.#lose(attempt, ABNORMAL);
    }, ATTEMPT_TIMEOUT);
    if (!this.#link) this.#show("connecting");
    if (!attempt.native) this.#useTicket(attempt);
  }

  #isGone(link) {
    return link !== this.#attempt && link !== this.#link;
  }

  /** Opens an attempt with a ticket, or keeps a link open. */
  async #useTicket(link) {
    const useNextIn = (delay) => {
      clearTimeout(this.#ticketTimer);
      this.#ticketTimer = setTimeout(() => this.#isGone(link) || this.#useTicket(link), delay);
    };
    try {
      const answer = await this.#options.ticket();
      if (this.#isGone(link)) return;
      const { ticket, refresh_in } = typeof answer === "string" ? { ticket: answer } : (answer ?? {});
      if (!ticket) return this.#end(LOGGED_OUT, "no ticket");
      if (link.native) link.native.send(`${TICKET} ${ticket}`);
      else this.#dial(link, [TICKET, ticket]);
      if (!refresh_in) return;
      const delay = Math.min(refresh_in * 800, 1e9); // more is too much for setTimeout
      link.staleAt = Date.now() + delay;
      useNextIn(delay);
    } catch (error) {
      console.warn("No ticket:", error);
      if (link === this.#link) useNextIn(MAX_DELAY);
      else this.#lose(link);
    }
  }

  #dial(attempt, ticket = []) {
    const { eventStream, protocols = [] } = this.#options;
    const url = new URL(attempt.isStream ? eventStream : this.#url, location);
    url.hash = "";
    if (this.#since != null) url.searchParams.set("since", this.#since);
    let native;
    if (attempt.isStream) {
      native = new EventSource(url, { withCredentials: true });
      native.onerror = () => this.#lose(attempt, ABNORMAL);
    } else {
      url.protocol = url.protocol.replace("http", "ws");
      native = new WebSocket(url, [...ticket, ...protocols]);
      native.binaryType = "arraybuffer";
      native.onclose = ({ code, reason }) => this.#lose(attempt, code, reason);
    }
    native.onopen = () => this.#open(attempt);
    native.onmessage = ({ data }) => this.#receive(attempt, data);
    attempt.native = native;
  }

  #open(link) {
    if (link !== this.#attempt) return;
    clearTimeout(this.#timer);
    this.#link?.native.close();
    this.#link = link;
    this.#attempt = null;
    link.openedAt = performance.now();
    if (link.isStream) this.#try(); // HTTP works: perhaps websockets do, too
    else for (const data of this.#queue.splice(0)) link.native.send(data);
    this.#show("open");
  }

  #receive(link, data) {
    if (link !== this.#link) return;
    link.heard = true;
    const envelope = parseEnvelope(data, this.#since != null, link.isStream);
    const { group, position } = envelope ?? { group: null, position: null };
    if (position) {
      const [epoch, number] = position.split(".");
      const [lastEpoch, lastNumber] = this.#positions.get(group) ?? [];
      if (epoch === lastEpoch && +number <= +lastNumber) return;
      this.#positions.set(group, [epoch, number]);
      this.#since = position;
    }
    if (envelope) data = envelope.data;
    this.dispatchEvent(Object.assign(new MessageEvent("message", { data }), { group, position }));
  }

  #lose(lost, code, reason) {
    if (this.#isGone(lost)) return;
    lost.native?.close();
    if (code) this.code = code;
    if (lost === this.#attempt) this.#attempt = null;
    else this.#link = null;
    const isFinal = FINAL_CODES.includes(code) || this.#options.finalCodes?.includes(code);
    const wasLate = code === LOGGED_OUT && Date.now() > lost.staleAt; // the page was asleep
    if (isFinal && !wasLate) return this.#end(code, reason);
    const wasStable = performance.now() - lost.openedAt >= STABLE_AFTER;
    const offline = navigator.onLine === false && !LOCAL_HOST.test(this.#url.hostname);
    if (lost.isStream) this.#failures = BROKEN_AFTER - 1;
    else if (code !== ABNORMAL || lost.heard || wasStable) this.#failures = 0;
    else if (!offline) this.#failures += 1;
    if (this.#attempt) return this.#show("connecting");
    clearTimeout(this.#timer);
    const tryIn = (delay) => {
      this.#timer = setTimeout(() => this.#try(), delay);
    };
    if (this.#link) return tryIn(PROBE_INTERVAL * (0.5 + Math.random()));
    if (wasStable) this.attempts = 0;
    if (!offline) tryIn(Math.random() * Math.min(MAX_DELAY, FIRST_DELAY * 2 ** this.attempts));
    this.attempts += 1;
    this.#show(offline ? "offline" : "waiting");
  }

  #drop(code = 1000, reason = "") {
    for (const link of [this.#attempt, this.#link]) link?.native?.close(code, reason);
    clearTimeout(this.#timer);
    clearTimeout(this.#ticketTimer);
    if (performance.now() - this.#link?.openedAt >= STABLE_AFTER) this.attempts = 0;
    this.#attempt = this.#link = null;
  }

  #end(code, reason) {
    this.#drop(code, reason);
    this.#watch.abort();
    this.#queue = [];
    this.code = code;
    this.#show("closed");
    this.dispatchEvent(new CloseEvent("close", { code, reason, wasClean: code !== ABNORMAL }));
  }

  #show(state) {
    const transport = this.#link && (this.#link.isStream ? "eventStream" : "websocket");
    if (state === this.state && transport === this.transport) return;
    Object.assign(this, { state, transport }).dispatchEvent(new Event("statechange"));
  }
}

export function connect(url, options = {}) {
  return new Connection(url, options);
}
