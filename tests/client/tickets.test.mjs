import assert from "node:assert/strict";
import { test } from "node:test";

import { settle, World } from "./world.mjs";

test("each attempt has a fresh ticket, before the page's subprotocols", async () => {
  const world = new World();
  let number = 0;
  world.connect("/socket/", { ticket: async () => `ticket-${++number}`, protocols: ["chat.v2"] });
  assert.equal(world.sockets.length, 0);
  await settle();
  assert.deepEqual(world.socket.protocols, ["django-websocket.ticket", "ticket-1", "chat.v2"]);
  world.socket.lose();
  world.passDelay();
  await settle();
  assert.deepEqual(world.socket.protocols, ["django-websocket.ticket", "ticket-2", "chat.v2"]);
});

test("without tickets, the subprotocols are the page's", () => {
  const world = new World();
  world.connect();
  assert.deepEqual(world.socket.protocols, []);
  world.connect("/socket/", { protocols: ["a", "b"] });
  assert.deepEqual(world.socket.protocols, ["a", "b"]);
});

test("a ticket may be there at once", async () => {
  const world = new World();
  world.connect("/socket/", { ticket: () => "here" });
  await settle();
  assert.deepEqual(world.socket.protocols, ["django-websocket.ticket", "here"]);
});

for (const [what, ticket] of Object.entries({
  rejects: () => Promise.reject(new Error("no answer")),
  throws: () => {
    throw new Error("no answer");
  },
})) {
  test(`a ticket that ${what} is an attempt that failed`, async (context) => {
    const warn = context.mock.method(console, "warn", () => {});
    const world = new World();
    const { connection } = world.connect("/socket/", { ticket, eventStream: "/events/" });
    for (let attempt = 1; attempt <= 5; attempt++) {
      await settle();
      assert.equal(connection.state, "waiting");
      assert.equal(connection.attempts, attempt);
      assert.equal(warn.mock.callCount(), attempt);
      world.passDelay();
    }
    // It says nothing about websockets.
    assert.equal(world.streams.length, 0);
    assert.equal(world.sockets.length, 0);
  });
}

for (const nothing of [null, undefined, "", {}, { detail: "Log in first" }]) {
  test(`${JSON.stringify(nothing)} for a ticket ends it`, async () => {
    const world = new World();
    const { connection, told } = world.connect("/socket/", { ticket: async () => nothing });
    await settle();
    assert.equal(connection.state, "closed");
    assert.deepEqual(told.closes, [{ code: 4401, reason: "no ticket" }]);
    assert.deepEqual(world.delays, []);
  });
}

test("a ticket that doesn't come is given up with its attempt", async (context) => {
  context.mock.method(console, "warn", () => {});
  const world = new World();
  const resolves = [];
  const { connection } = world.connect("/socket/", { ticket: () => new Promise((resolve) => resolves.push(resolve)) });
  await settle();
  world.pass(10_000);
  assert.equal(connection.state, "waiting");
  world.passDelay();
  await settle();
  resolves[0]("late");
  await settle();
  assert.equal(world.sockets.length, 0);
  resolves[1]("in time");
  await settle();
  assert.deepEqual(world.socket.protocols, ["django-websocket.ticket", "in time"]);
});

test("closed while the ticket is fetched", async () => {
  const world = new World();
  let answer;
  const { connection } = world.connect("/socket/", { ticket: () => new Promise((resolve) => (answer = resolve)) });
  await settle();
  connection.close();
  answer("late");
  await settle();
  assert.equal(world.sockets.length, 0);
  assert.equal(connection.state, "closed");
});

// Refreshing

/** Open by tickets that need to be refreshed within `refresh_in` seconds. */
async function opened(refresh_in, more = {}) {
  const world = new World();
  const given = { number: 0, fails: false, ends: false };
  const ticket = async () => {
    given.number += 1;
    if (given.fails) throw new Error("no answer");
    return given.ends ? null : { ticket: `ticket-${given.number}`, expires_in: 60, refresh_in };
  };
  const { connection, told } = world.connect("/socket/", { ticket, ...more });
  await settle();
  world.socket.open();
  return { world, given, connection, told };
}

test("a ticket that is given as the server answers it", async () => {
  const { world } = await opened(null);
  assert.deepEqual(world.socket.protocols, ["django-websocket.ticket", "ticket-1"]);
  assert.deepEqual(world.delays, []);
  assert.deepEqual(world.socket.sent, []);
});

test("a fresh ticket is sent before the time is up", async () => {
  const { world } = await opened(3600);
  for (const number of [2, 3]) {
    assert.deepEqual(world.delays, [2_880_000]);
    world.passDelay();
    await settle();
    assert.equal(world.socket.sent.at(-1), `django-websocket.ticket ticket-${number}`);
  }
  assert.equal(world.sockets.length, 1);
});

test("a refresh that fails is tried again", async (context) => {
  context.mock.method(console, "warn", () => {});
  const { world, given, connection } = await opened(3600);
  given.fails = true;
  for (let attempt = 0; attempt < 3; attempt++) {
    world.passDelay();
    await settle();
    assert.deepEqual(world.delays, [30_000]);
  }
  given.fails = false;
  world.passDelay();
  await settle();
  assert.deepEqual(world.socket.sent, ["django-websocket.ticket ticket-5"]);
  assert.equal(connection.state, "open");
});

test("no further ticket ends it", async () => {
  const { world, given, connection, told } = await opened(3600);
  given.ends = true;
  world.passDelay();
  await settle();
  assert.equal(connection.state, "closed");
  assert.deepEqual(told.closes, [{ code: 4401, reason: "no ticket" }]);
  assert.deepEqual(world.socket.closedWith, [4401, "no ticket"]);
});

test("tickets are not asked for on behalf of what is lost", async () => {
  const { world, given, connection } = await opened(3600);
  for (const count of [2, 3]) {
    world.socket.lose();
    world.pass(Math.min(...world.delays));
    await settle();
    assert.equal(given.number, count);
    world.socket.open();
    assert.equal(world.delays.length, 1);
  }
  connection.close();
  world.pass(1e8);
  await settle();
  assert.equal(given.number, 3);
});

test("no timer for a ticket outlives a connection that ended, or a page that was left", async () => {
  for (const leave of [
    (world, connection) => connection.close(),
    (world) => world.socket.lose(1008),
    (world) => world.fire("pagehide"),
  ]) {
    const { world, connection } = await opened(3600);
    leave(world, connection);
    assert.deepEqual(world.delays, []);
  }
});

test("4401 ends it, unless the page was asleep when the ticket was due", async () => {
  for (const [slept, state] of [
    [2_880_000, "closed"],
    [2_880_001, "waiting"],
  ]) {
    const { world, connection } = await opened(3600);
    world.now += slept; // and no timer has run
    world.socket.lose(4401);
    assert.equal(connection.state, state);
  }
});

test("4401 behind a refresh ends it", async () => {
  const { world, connection } = await opened(3600);
  world.passDelay();
  await settle();
  world.pass(1000);
  world.socket.lose(4401);
  assert.equal(connection.state, "closed");
});

test("what needs no ticket for months sets no timer that fires at once", async () => {
  const { world } = await opened(90 * 86_400);
  assert.ok(world.delays.every((delay) => delay > 1e8 && delay < 2 ** 31));
});
