import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.mjs";

test("a path becomes a websocket URL of the page's origin", () => {
  const world = new World("http://example.com:8000/page/?a=b#c");
  world.connect("/socket/?x=1#fragment");
  assert.equal(world.socket.url.href, "ws://example.com:8000/socket/?x=1");
});

test("absolute URLs of all schemes", () => {
  const world = new World();
  for (const [given, used] of [
    ["https://other.example/socket/", "wss://other.example/socket/"],
    ["http://other.example/socket/", "ws://other.example/socket/"],
    ["wss://other.example:444/socket/", "wss://other.example:444/socket/"],
    ["ws://other.example/", "ws://other.example/"],
  ]) {
    world.connect(given).connection.close();
    assert.equal(world.socket.url.href, used);
  }
});

test("it tells its states, and takes messages as they are", () => {
  const world = new World();
  const { connection, told } = world.connect();
  assert.equal(connection.state, "connecting");
  assert.equal(connection.transport, null);
  world.socket.open();
  assert.equal(connection.transport, "websocket");
  assert.equal(world.socket.binaryType, "arraybuffer");
  const envelope = '{"group": "a", "position": "e.1", "message": "hello"}';
  world.socket.receive(envelope);
  world.socket.lose(1001);
  world.pass(250);
  assert.deepEqual(told.states, ["open", "waiting", "connecting"]);
  assert.deepEqual(told.messages, [{ data: envelope, group: null, position: null }]);
  assert.equal(world.sockets.length, 2);
});

test("a close event says whether it was clean", () => {
  for (const code of [1000, 1006]) {
    const world = new World();
    const { connection } = world.connect("/socket/", { finalCodes: [1006] });
    const closes = [];
    connection.addEventListener("close", (event) => closes.push(event.wasClean));
    world.socket.open();
    world.socket.lose(code);
    assert.deepEqual(closes, [code === 1000]);
  }
});

test("how the last connection ended", () => {
  const world = new World();
  const { connection } = world.connect();
  assert.equal(connection.code, null);
  world.socket.open();
  world.socket.lose(1012);
  assert.equal(connection.code, 1012);
  world.passDelay();
  world.socket.lose(1006);
  assert.equal(connection.code, 1006);
  connection.close(4001);
  assert.equal(connection.code, 4001);
});

test("full jitter, and a bound that doubles up to 30 seconds", () => {
  const world = new World();
  world.random = 1;
  world.connect();
  const delays = [];
  for (let attempt = 0; attempt < 9; attempt++) {
    world.socket.lose();
    delays.push(...world.delays);
    world.passDelay();
  }
  assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  world.random = 0;
  world.socket.lose();
  assert.deepEqual(world.delays, [0]);
  world.random = 0.1;
  world.passDelay();
  world.socket.lose();
  assert.deepEqual(world.delays, [3000]);
});

test("the backoff is forgotten once a connection has been open for ten seconds", () => {
  const world = new World();
  const { connection } = world.connect();
  for (let attempt = 1; attempt <= 3; attempt++) {
    world.socket.lose();
    assert.equal(connection.attempts, attempt);
    world.passDelay();
  }
  world.socket.open();
  world.pass(9_999);
  world.socket.lose();
  assert.equal(connection.attempts, 4);
  world.passDelay();
  world.socket.open();
  world.pass(10_000);
  world.socket.lose();
  assert.equal(connection.attempts, 1);
  assert.deepEqual(world.delays, [250]);
});

test("an attempt that hangs is given up after ten seconds", () => {
  const world = new World();
  const { connection } = world.connect();
  world.pass(9_999);
  assert.equal(connection.state, "connecting");
  world.pass(1);
  assert.equal(connection.state, "waiting");
  assert.equal(world.socket.readyState, 2);
  world.pass(250);
  assert.equal(world.sockets.length, 2);
});

test("late events of an attempt that was given up mean nothing", () => {
  const world = new World();
  const { connection, told } = world.connect();
  world.pass(10_250);
  const [late, current] = world.sockets;
  late.open();
  late.receive("late");
  late.lose(1008);
  assert.equal(connection.state, "connecting");
  current.open();
  late.receive("late");
  late.lose();
  assert.equal(connection.state, "open");
  assert.deepEqual(told.messages, []);
  assert.equal(world.sockets.length, 2);
});

for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 4401, 4000]) {
  test(`${code} ends it`, () => {
    const world = new World();
    const { connection, told } = world.connect("/socket/", { finalCodes: [4000] });
    world.socket.open();
    world.socket.lose(code, "because");
    assert.equal(connection.state, "closed");
    assert.deepEqual(told.closes, [{ code, reason: "because" }]);
    assert.deepEqual(world.delays, []);
    world.goOffline();
    world.goOnline();
    world.fire("pageshow");
    world.fire("visibilitychange", world.document);
    world.pass(1e6);
    assert.equal(world.sockets.length, 1);
  });
}

for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 4000]) {
  test(`${code} does not`, () => {
    const world = new World();
    const { connection, told } = world.connect();
    world.socket.open();
    world.socket.lose(code);
    assert.equal(connection.state, "waiting");
    assert.deepEqual(told.closes, []);
    world.pass(250);
    world.socket.open();
    assert.equal(connection.state, "open");
  });
}

test("it may be closed at any time", () => {
  for (const reach of [
    () => {},
    (world) => world.socket.open(),
    (world) => world.socket.lose(),
    (world) => world.goOffline() ?? world.socket.lose(),
  ]) {
    const world = new World();
    const { connection, told } = world.connect();
    reach(world);
    const { socket } = world;
    connection.close(4001, "enough");
    connection.close();
    assert.equal(connection.state, "closed");
    assert.ok(socket.readyState >= 2);
    assert.deepEqual(told.closes, [{ code: 4001, reason: "enough" }]);
    socket.open();
    socket.lose();
    world.pass(1e6);
    assert.equal(connection.state, "closed");
    assert.equal(told.closes.length, 1);
    assert.equal(world.socket, socket);
  }
});

test("the server is told the code", () => {
  const world = new World();
  const { connection } = world.connect();
  world.socket.open();
  assert.throws(() => connection.close(1001), { name: "InvalidAccessError" });
  assert.equal(connection.state, "open");
  connection.close(4001, "enough");
  assert.deepEqual(world.socket.closedWith, [4001, "enough"]);
});

test("retry hurries, and begins anew after the end", () => {
  const world = new World();
  const { connection, told } = world.connect();
  connection.retry();
  assert.equal(world.sockets.length, 1);
  world.socket.lose();
  connection.retry();
  assert.equal(world.sockets.length, 2);
  assert.equal(connection.state, "connecting");
  assert.equal(connection.attempts, 1);
  world.socket.open();
  connection.retry();
  assert.equal(world.sockets.length, 2);
  world.socket.lose(1008);
  connection.retry();
  assert.equal(connection.state, "connecting");
  world.socket.open();
  world.socket.lose();
  world.fire("pageshow");
  assert.equal(world.sockets.length, 4);
  assert.equal(told.closes.length, 1);
});

test("what begins anew has forgotten its failures", () => {
  const world = new World();
  const { connection } = world.connect("/socket/", { eventStream: "/events/" });
  world.socket.lose();
  world.passDelay();
  world.socket.lose();
  connection.close();
  connection.retry();
  assert.equal(connection.attempts, 0);
  world.socket.lose();
  assert.deepEqual(world.delays, [250]);
  world.passDelay();
  assert.equal(world.streams.length, 0);
});

test("a listener that closes it is obeyed at once", () => {
  for (const state of ["connecting", "open", "waiting"]) {
    const world = new World();
    const { connection } = world.connect("/socket/", { whileClosed: "queue" });
    connection.addEventListener("statechange", () => connection.state === state && connection.close());
    world.socket.open();
    world.socket.lose();
    world.pass(1e6);
    world.sockets.forEach((socket) => socket.open());
    assert.equal(connection.state, "closed", state);
    if (state === "connecting") connection.retry();
    world.goOffline();
    world.goOnline();
    assert.equal(connection.state, "closed", state);
    assert.ok(world.sockets.every(({ closedWith, readyState }) => closedWith || readyState === 1), state);
  }
});

test("a URL that can't be one is the caller's error", () => {
  const world = new World();
  assert.throws(() => world.connect("https://"), TypeError);
  assert.throws(() => world.connect("mailto:somebody@example.com"), { name: "SyntaxError" });
  assert.deepEqual(world.delays, []);
});
