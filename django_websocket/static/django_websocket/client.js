// A websocket that comes back by itself. What it does when, and why, is told in the documentation of django-websocket.

const FIRST_DELAY = 500; // milliseconds, as all times
const MAX_DELAY = 30_000;
const ATTEMPT_TIMEOUT = 10_000;
const STABLE_AFTER = 10_000;
const PROBE_INTERVAL = 60_000;
const BROKEN_AFTER = 3; // attempts
const MAX_QUEUE = 1000; // messages
const MAX_QUEUED_SIZE = 1 << 20; // characters and bytes
const FINAL_CODES = [1000, 1002, 1003, 1007, 1008, 1009, 1010, 4401];
const LOGGED_OUT = 4401;
const ABNORMAL = 1006;

const isOffline = (url) => navigator.onLine === false && !/^(localhost|127\.[\d.]+|\[::1])$/.test(url.hostname);

const sizeOf = (data) => data.byteLength ?? data.size ?? String(data).length;

const POSITION = /^[0-9a-z]+\.\d+$/;

const decodeBase64 = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0)).buffer;

/** What is in the envelope of a group, if `text` is one. */
function parseEnvelope(text, resumes, isStream) {
  try {
    const { group, position = null, message, bytes } = JSON.parse(text);
    const data = bytes === undefined ? message : decodeBase64(bytes);
    const isEnvelope =
      position === null
        ? isStream && bytes !== undefined
        : resumes && typeof position === "string" && POSITION.test(position);
    if (isEnvelope && typeof group === "string" && data !== undefined) return { group, position, data };
  } catch {
    // It is something else.
  }
}

class Connection extends EventTarget {
  state = "closed";
  transport = null;
  attempts = 0;
  #url;
  #options;
  #since;
  #positions = new Map();
  #link = null; // what is open
  #attempt = null; // what is to become the link
  #timer;
  #failures = 0; // of websockets, while HTTP may work
  #queue = [];
  #queuedSize = 0;
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
    if (link?.kind === "websocket" && link.native.readyState === 1) return link.native.send(data);
    if (this.#options.whileClosed !== "queue" || this.state === "closed") {
      throw new DOMException(`The websocket is not open: ${this.state}.`, "InvalidStateError");
    }
    if (this.#queue.length >= MAX_QUEUE || this.#queuedSize + sizeOf(data) > MAX_QUEUED_SIZE) {
      throw new DOMException("Too much waits to be sent.", "QuotaExceededError");
    }
    this.#queuedSize += sizeOf(data);
    this.#queue.push(structuredClone(data));
  }

  sendJSON(value) {
    this.send(JSON.stringify(value));
  }

  close(code = 1000, reason = "") {
    if (this.state === "closed") return;
    this.#link?.native.close(code, reason);
    this.#end(code, reason);
  }

  retry() {
    const ended = this.state === "closed";
    if (ended) this.attempts = this.#failures = 0;
    if (!this.#attempt && this.#link?.kind !== "websocket") this.#try();
    if (ended) this.#watchPage();
  }

  #watchPage() {
    const { signal } = (this.#watch = new AbortController());
    const on = (target, type, listener) => target?.addEventListener(type, listener, { signal });
    on(globalThis, "online", () => this.retry());
    on(globalThis, "offline", () => {
      this.#drop();
      this.#try();
    });
    on(globalThis, "pagehide", () => {
      this.#drop();
      this.#show("waiting");
    });
    on(globalThis, "pageshow", () => this.retry());
    on(globalThis.document, "visibilitychange", () => document.hidden || this.retry());
  }

  #try() {
    const { eventStream, ticket } = this.#options;
    const streams = eventStream && this.#failures >= BROKEN_AFTER && !this.#link;
    const attempt = { kind: streams ? "eventStream" : "websocket" };
    if (ticket && !streams) {
      Promise.resolve()
        .then(ticket)
        .then(
          (ticket) => {
            if (attempt !== this.#attempt) return;
            if (ticket) this.#dial(attempt, ["django-websocket.ticket", ticket]);
            else this.#end(LOGGED_OUT, "no ticket");
          },
          (error) => {
            console.warn("No ticket for a websocket:", error);
            this.#lose(attempt);
          },
        );
    } else this.#dial(attempt, []);
    clearTimeout(this.#timer);
    this.#attempt = attempt;
    this.#timer = setTimeout(() => this.#lose(attempt, ABNORMAL), ATTEMPT_TIMEOUT);
    if (!this.#link) this.#show("connecting");
  }

  #dial(attempt, ticket) {
    const streams = attempt.kind === "eventStream";
    const url = streams ? new URL(this.#options.eventStream, location) : new URL(this.#url);
    url.protocol = url.protocol.replace(...(streams ? ["ws", "http"] : ["http", "ws"]));
    url.hash = "";
    if (this.#since != null) url.searchParams.set("since", this.#since);
    let native;
    if (streams) {
      native = new EventSource(url, { withCredentials: true });
      native.onerror = () => this.#lose(attempt, ABNORMAL);
    } else {
      native = new WebSocket(url, [...ticket, ...(this.#options.protocols ?? [])]);
      native.binaryType = "arraybuffer";
      native.onclose = ({ code, reason }) => this.#lose(attempt, code, reason);
    }
    native.onopen = () => this.#open(attempt);
    native.onmessage = ({ data, origin }) => this.#receive(attempt, data, origin);
    attempt.native = native;
  }

  #open(link) {
    if (link !== this.#attempt) return;
    clearTimeout(this.#timer);
    this.#link?.native.close();
    this.#link = link;
    this.#attempt = null;
    link.openedAt = performance.now();
    if (link.kind === "websocket") {
      for (const data of this.#queue) link.native.send(data);
      this.#queue = [];
      this.#queuedSize = 0;
    } else this.#try(); // HTTP works, so perhaps websockets do again
    this.#show("open");
  }

  #receive(link, data, origin) {
    if (link !== this.#link) return;
    link.heard = true;
    const resumes = this.#since != null;
    const isStream = link.kind === "eventStream";
    const envelope = resumes || isStream ? parseEnvelope(data, resumes, isStream) : undefined;
    const { group, position } = envelope ?? { group: null, position: null };
    if (position) {
      const [epoch, number] = position.split(".");
      const last = this.#positions.get(group);
      if (last?.epoch === epoch && +number <= last.number) return;
      this.#positions.set(group, { epoch, number: +number });
      this.#since = position;
    }
    const init = { data: envelope ? envelope.data : data, origin, lastEventId: position ?? "" };
    this.dispatchEvent(Object.assign(new MessageEvent("message", init), { group, position }));
  }

  #lose(lost, code, reason) {
    if (lost !== this.#link && lost !== this.#attempt) return;
    lost.native?.close();
    if (lost === this.#attempt) this.#attempt = null;
    else this.#link = null;
    if (FINAL_CODES.includes(code) || this.#options.finalCodes?.includes(code)) return this.#end(code, reason);
    const wasStable = performance.now() - lost.openedAt >= STABLE_AFTER;
    const offline = isOffline(this.#url);
    if (lost.kind === "eventStream") this.#failures = BROKEN_AFTER - 1;
    else if (code !== ABNORMAL || lost.heard || wasStable) this.#failures = 0;
    else if (!offline) this.#failures += 1;
    if (this.#attempt) return this.#show("connecting");
    clearTimeout(this.#timer);
    if (this.#link) return this.#wait(PROBE_INTERVAL * (0.5 + Math.random()));
    if (wasStable) this.attempts = 0;
    if (!offline) this.#wait(Math.random() * Math.min(MAX_DELAY, FIRST_DELAY * 2 ** this.attempts));
    this.attempts += 1;
    this.#show(offline ? "offline" : "waiting");
  }

  #wait(delay) {
    this.#timer = setTimeout(() => this.#try(), delay);
  }

  #drop() {
    clearTimeout(this.#timer);
    for (const link of [this.#attempt, this.#link]) link?.native?.close(1000);
    this.#attempt = this.#link = null;
  }

  #end(code, reason = "") {
    this.#drop();
    this.#watch?.abort();
    this.#queue = [];
    this.#queuedSize = 0;
    this.#show("closed");
    this.dispatchEvent(new CloseEvent("close", { code, reason, wasClean: code !== ABNORMAL }));
  }

  #show(state) {
    const transport = this.#link?.kind ?? null;
    if (state === this.state && transport === this.transport) return;
    this.state = state;
    this.transport = transport;
    this.dispatchEvent(new Event("statechange"));
  }
}

export function connect(url, options = {}) {
  return new Connection(url, options);
}
