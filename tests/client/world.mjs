// What a browser has around the client, made for tests: time that stands still, and servers that do as they are told.

import { connect } from "../../django_websocket/static/django_websocket/client.js";

class CloseEvent extends Event {
  constructor(type, { code, reason, wasClean }) {
    super(type);
    Object.assign(this, { code, reason, wasClean });
  }
}

class FakeSocket {
  static all = [];
  readyState = 0;
  sent = [];
  closedWith = null;

  constructor(url, protocols = []) {
    this.url = new URL(url);
    if (!/^wss?:$/.test(this.url.protocol)) throw new DOMException(this.url.protocol, "SyntaxError");
    if (this.url.hash) throw new DOMException("a fragment", "SyntaxError");
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }

  send(data) {
    if (this.readyState === 0) throw new DOMException("connecting", "InvalidStateError");
    if (this.readyState === 1) this.sent.push(data);
  }

  close(code, reason) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`code ${code}`, "InvalidAccessError");
    }
    if (this.readyState > 1) return;
    this.closedWith = [code, reason];
    this.readyState = 2;
  }

  // What the server and the network do

  open() {
    this.readyState = 1;
    this.onopen?.(new Event("open"));
  }

  receive(data) {
    this.onmessage?.(new MessageEvent("message", { data, origin: this.url.origin }));
  }

  lose(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.(new CloseEvent("close", { code, reason, wasClean: code !== 1006 }));
  }
}

class FakeStream {
  static all = [];
  readyState = 0;

  constructor(url, options) {
    this.url = new URL(url);
    this.options = options;
    FakeStream.all.push(this);
  }

  close() {
    this.readyState = 2;
  }

  open() {
    this.readyState = 1;
    this.onopen?.(new Event("open"));
  }

  receive(data, lastEventId = "") {
    this.onmessage?.(new MessageEvent("message", { data, lastEventId, origin: this.url.origin }));
  }

  lose() {
    this.onerror?.(new Event("error"));
  }
}

/** A page of its own for each test. */
export class World {
  now = 0;
  random = 0.5;
  #timers = new Map();
  #number = 0;

  constructor(location = "https://example.com/page/?a=b#c") {
    FakeSocket.all = [];
    FakeStream.all = [];
    this.window = new EventTarget();
    this.document = Object.assign(new EventTarget(), { hidden: false });
    const globals = {
      WebSocket: FakeSocket,
      EventSource: FakeStream,
      CloseEvent,
      location: new URL(location),
      document: this.document,
      navigator: { onLine: true },
      performance: { now: () => this.now },
      addEventListener: this.window.addEventListener.bind(this.window),
      setTimeout: (callback, delay = 0) => {
        this.#timers.set(++this.#number, { at: this.now + delay, callback });
        return this.#number;
      },
      clearTimeout: (number) => this.#timers.delete(number),
    };
    for (const [name, value] of Object.entries(globals)) {
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    }
    Math.random = () => this.random;
    Date.now = () => this.now;
  }

  /** A connection, and what it has told. */
  connect(url = "/socket/", options = {}) {
    const connection = connect(url, options);
    const told = { states: [], messages: [], closes: [] };
    connection.addEventListener("statechange", () => told.states.push(connection.state));
    connection.addEventListener("message", ({ data, group, position }) => told.messages.push({ data, group, position }));
    connection.addEventListener("close", ({ code, reason }) => told.closes.push({ code, reason }));
    return { connection, told };
  }

  get sockets() {
    return FakeSocket.all;
  }

  get socket() {
    return FakeSocket.all.at(-1);
  }

  get streams() {
    return FakeStream.all;
  }

  get stream() {
    return FakeStream.all.at(-1);
  }

  /** How long the timers that are set will take. */
  get delays() {
    return [...this.#timers.values()].map(({ at }) => at - this.now);
  }

  /** Let time pass. */
  pass(milliseconds) {
    const end = this.now + milliseconds;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.now = due[1].at;
      due[1].callback();
    }
    this.now = end;
  }

  /** Let the pause before the next attempt pass. */
  passDelay() {
    const [delay, ...others] = this.delays;
    if (delay === undefined || others.length) throw new Error(`not one pause: ${this.delays}`);
    this.pass(delay);
  }

  /** Something happens to the page. */
  fire(type, target = this.window) {
    target.dispatchEvent(new Event(type));
  }

  goOffline() {
    navigator.onLine = false;
    this.fire("offline");
  }

  goOnline() {
    navigator.onLine = true;
    this.fire("online");
  }
}

/** Let promises that are settled have their effect. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));
