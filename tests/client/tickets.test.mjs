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

for (const nothing of [null, undefined, ""]) {
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
