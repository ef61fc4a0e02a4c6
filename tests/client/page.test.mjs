import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.mjs";

test("it waits while the browser is offline", () => {
  const world = new World();
  const { connection, told } = world.connect();
  world.socket.open();
  world.goOffline();
  // The browser may be wrong about that: one attempt finds out.
  assert.equal(world.sockets.length, 2);
  world.socket.lose();
  assert.equal(connection.state, "offline");
  world.pass(1e7);
  assert.equal(world.sockets.length, 2);
  world.goOnline();
  assert.equal(world.sockets.length, 3);
  world.socket.open();
  assert.deepEqual(told.states, ["open", "connecting", "offline", "connecting", "open"]);
});

test("a state that stays is told once", () => {
  const world = new World();
  const { told } = world.connect();
  world.goOffline();
  world.goOnline();
  assert.deepEqual(told.states, []);
  world.fire("pagehide");
  world.fire("pagehide");
  assert.deepEqual(told.states, ["waiting"]);
});

test("what was open before the network went is given up", () => {
  const world = new World();
  const { told } = world.connect();
  world.socket.open();
  const [old] = world.sockets;
  world.goOffline();
  assert.deepEqual(old.closedWith, [1000, ""]);
  old.receive("late");
  old.lose();
  assert.deepEqual(told.messages, []);
});

for (const [what, interrupt] of Object.entries({
  "the network goes": (world) => world.goOffline() ?? world.goOnline(),
  "the page is left": (world) => world.fire("pagehide") ?? world.fire("pageshow"),
})) {
  test(`the backoff is forgotten when ${what} after ten seconds, too`, () => {
    for (const [lasted, attempts] of [
      [9_999, 4],
      [10_000, 1],
    ]) {
      const world = new World();
      const { connection } = world.connect();
      for (let attempt = 0; attempt < 3; attempt++) {
        world.socket.lose();
        world.passDelay();
      }
      world.socket.open();
      world.pass(lasted);
      interrupt(world);
      world.socket.lose();
      assert.equal(connection.attempts, attempts);
      assert.deepEqual(world.delays, [250 * 2 ** (attempts - 1)]);
    }
  });
}

test("a server on this machine needs no network", () => {
  for (const host of ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"]) {
    const world = new World(`http://${host}/`);
    navigator.onLine = false;
    const { connection } = world.connect();
    world.socket.lose();
    assert.equal(connection.state, "waiting", host);
    world.passDelay();
    assert.equal(world.sockets.length, 2);
  }
  for (const host of ["localhost.example.com", "127.example.com", "site.localhost"]) {
    const world = new World(`http://${host}/`);
    navigator.onLine = false;
    const { connection } = world.connect();
    world.socket.lose();
    assert.equal(connection.state, "offline", host);
  }
});

test("it hurries when the page becomes visible", () => {
  const world = new World();
  const { connection } = world.connect();
  world.document.hidden = true;
  world.socket.lose();
  world.fire("visibilitychange", world.document);
  assert.equal(connection.state, "waiting");
  world.document.hidden = false;
  world.fire("visibilitychange", world.document);
  assert.equal(connection.state, "connecting");
  assert.equal(world.sockets.length, 2);
  // ... and not when there is no need.
  world.fire("visibilitychange", world.document);
  world.socket.open();
  world.fire("visibilitychange", world.document);
  assert.equal(world.sockets.length, 2);
});

test("timers that come late change nothing", () => {
  const world = new World();
  const { connection } = world.connect();
  world.socket.lose();
  world.fire("visibilitychange", world.document);
  world.socket.open();
  world.pass(1e7);
  assert.equal(connection.state, "open");
  assert.equal(world.sockets.length, 2);
});

test("a page that is left closes, and one that comes back connects", () => {
  const world = new World();
  const { connection } = world.connect();
  world.socket.open();
  world.fire("pagehide");
  assert.deepEqual(world.socket.closedWith, [1000, ""]);
  assert.equal(connection.state, "waiting");
  world.socket.lose();
  world.pass(1e7);
  assert.equal(world.sockets.length, 1);
  world.fire("pageshow");
  assert.equal(connection.state, "connecting");
  world.socket.open();
  assert.equal(connection.state, "open");
});

test("a page that is left in the middle of an attempt", () => {
  const world = new World();
  world.connect();
  world.fire("pagehide");
  world.socket.open();
  assert.deepEqual(world.socket.closedWith, [1000, ""]);
  world.pass(1e7);
  assert.equal(world.sockets.length, 1);
});

test("without a document, in a worker", () => {
  const world = new World();
  Object.defineProperty(globalThis, "document", { value: undefined });
  const { connection } = world.connect();
  world.socket.open();
  assert.equal(connection.state, "open");
});
