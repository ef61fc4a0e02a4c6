// Whatever happens in whatever order: one connection, a way out of every state, each message once and in order.

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle, World } from "./world.mjs";

const STEPS = 400;
const SEEDS = 40;

/** Random numbers by a seed (mulberry32). */
function randomly(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A group with a history, as the server sends it to who asks for what is behind a position. */
class History {
  #messages = [];
  #taken = new Map();

  say(message) {
    const position = `e1.${this.#messages.length + 1}`;
    this.#messages.push(JSON.stringify({ group: "room", position, message }));
  }

  /** Send a connection some of what it has not got; now and then something twice. */
  serve(native, count, repeats) {
    const since = native.url.searchParams.get("since");
    const behind = since === "0" ? 0 : Number(since.split(".")[1]);
    const first = Math.max((this.#taken.get(native) ?? behind) - (repeats ? 2 : 0), 0);
    for (const text of this.#messages.slice(first, first + count)) native.receive(text);
    this.#taken.set(native, Math.min(first + count, this.#messages.length));
  }
}

class Chaos {
  constructor(seed, options) {
    this.random = randomly(seed);
    this.world = new World();
    this.page = "shown";
    this.history = new History();
    this.said = [];
    this.tickets = [];
    const ticket = () => new Promise((resolve, reject) => this.tickets.push({ resolve, reject }));
    const all = { since: "0", eventStream: "/events/", ...(options.tickets ? { ticket } : {}) };
    ({ connection: this.connection, told: this.told } = this.world.connect("/socket/", all));
  }

  #pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  /** One of all that were ever there, so that late events are among it; more often one of the last. */
  #native(list) {
    return this.random() < 0.8 ? list.at(-1) : this.#pick(list);
  }

  async step() {
    const { world } = this;
    world.random = this.random();
    const socket = this.#native(world.sockets);
    const stream = this.#native(world.streams);
    const actions = [
      () => this.say(),
      () => this.say(),
      () => world.pass(this.random() * 1000),
      () => world.pass(this.random() * 40_000),
      () => socket?.readyState === 0 && socket.open(),
      () => socket?.readyState === 0 && socket.open(),
      () => stream?.readyState === 0 && stream.open(),
      () => socket?.readyState === 1 && this.history.serve(socket, 5, this.random() < 0.3),
      () => socket?.readyState === 1 && this.history.serve(socket, 5, this.random() < 0.3),
      () => stream?.readyState === 1 && this.history.serve(stream, 5, this.random() < 0.3),
      () => socket && socket.readyState !== 3 && socket.lose(this.#pick([1001, 1005, 1006, 1006, 1006, 1011, 1012])),
      () => stream?.lose(),
      () => world.fire("visibilitychange", world.document),
      () => this.connection.retry(),
      () => (navigator.onLine ? world.goOffline() : world.goOnline()),
      () => this.#turnPage(),
      () => this.tickets.pop()?.resolve("ticket"),
      () => this.tickets.pop()?.resolve({ ticket: "ticket", refresh_in: 60 }),
      () => this.tickets.pop()?.reject(new Error("no ticket")),
    ];
    this.#pick(actions)();
    await settle();
  }

  #turnPage() {
    this.page = this.page === "shown" ? "kept" : "shown";
    this.world.fire(this.page === "shown" ? "pageshow" : "pagehide");
  }

  say() {
    this.said.push(this.said.length + 1);
    this.history.say(this.said.length);
  }

  check() {
    const { world, connection } = this;
    const live = (list) => list.filter(({ readyState }) => readyState < 2).length;
    assert.ok(live(world.sockets) <= 1, "one websocket");
    assert.ok(live(world.streams) <= 1, "one event stream");
    assert.equal(connection.state === "open", connection.transport !== null);
    assert.notEqual(connection.state, "closed");
    // Something will happen by itself, unless it waits for the network, or the page is away.
    const waits = connection.transport === "websocket" || connection.state === "offline" || this.page === "kept";
    assert.ok(waits || world.delays.some((delay) => delay <= 90_000), `${connection.state} for ever`);
    const heard = this.told.messages.map(({ data }) => data);
    assert.deepEqual(heard, this.said.slice(0, heard.length));
  }

  /** All is well again: does everything arrive? */
  async heal() {
    const { world } = this;
    if (this.page === "kept") this.#turnPage();
    if (!navigator.onLine) world.goOnline();
    for (let turn = 0; turn < 20 && this.connection.transport !== "websocket"; turn++) {
      this.tickets.splice(0).forEach(({ resolve }) => resolve("ticket"));
      await settle();
      if (world.stream?.readyState === 0) world.stream.open();
      if (world.socket?.readyState === 0) world.socket.open();
      if (this.connection.transport !== "websocket") world.pass(Math.min(...world.delays));
      await settle();
    }
    assert.equal(this.connection.transport, "websocket");
    this.history.serve(world.socket, this.said.length);
    assert.deepEqual(
      this.told.messages.map(({ data }) => data),
      this.said,
    );
  }
}

for (const tickets of [false, true]) {
  test(`chaos ${tickets ? "with" : "without"} tickets`, async (context) => {
    context.mock.method(console, "warn", () => {});
    for (let seed = 1; seed <= SEEDS; seed++) {
      const chaos = new Chaos(seed, { tickets });
      try {
        for (let step = 0; step < STEPS; step++) {
          await chaos.step();
          chaos.check();
        }
        await chaos.heal();
      } catch (error) {
        error.message = `seed ${seed}: ${error.message}`;
        throw error;
      }
    }
  });
}
