import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.mjs";

const OPTIONS = { eventStream: "/events/?room=1#x", since: "0" };

/** Where three websockets in a row have failed before they opened. */
function withoutWebsockets(options = OPTIONS) {
  const world = new World();
  const { connection, told } = world.connect("/socket/", options);
  for (let attempt = 0; attempt < 3; attempt++) {
    assert.equal(world.streams.length, 0);
    world.socket.lose();
    world.passDelay();
  }
  return { world, connection, told };
}

/** ... and the event stream has opened. */
function streaming(options = OPTIONS) {
  const { world, connection, told } = withoutWebsockets(options);
  world.stream.open();
  return { world, connection, told };
}

test("the event stream takes over where websockets are broken", () => {
  const { world, connection, told } = withoutWebsockets();
  assert.equal(world.streams.length, 1);
  assert.equal(world.sockets.length, 3);
  assert.equal(world.stream.url.href, "https://example.com/events/?room=1&since=0");
  assert.deepEqual(world.stream.options, { withCredentials: true });
  assert.equal(connection.state, "connecting");
  world.stream.open();
  assert.equal(connection.state, "open");
  assert.equal(connection.transport, "eventStream");
  world.stream.receive('{"group": "a", "position": "e1.1", "message": "hello"}', "e1.1");
  assert.deepEqual(told.messages, [{ data: "hello", group: "a", position: "e1.1" }]);
});

test("one attempt that hangs is enough", () => {
  const world = new World();
  world.connect("/socket/", OPTIONS);
  world.pass(10_000);
  world.passDelay();
  assert.equal(world.streams.length, 1);
  // ... of a stream, nothing follows.
  world.pass(10_000);
  world.passDelay();
  assert.equal(world.streams.length, 1);
  assert.equal(world.sockets.length, 2);
});

test("without an event stream, websockets are tried for ever", () => {
  const { world } = withoutWebsockets({});
  assert.equal(world.sockets.length, 4);
});

test("a websocket that opens takes the place of the stream", () => {
  const { world, connection, told } = streaming();
  world.stream.receive('{"group": "a", "position": "e1.1", "message": 1}', "e1.1");
  // HTTP has just begun to work: perhaps websockets have, too.
  assert.equal(world.sockets.length, 4);
  assert.equal(connection.state, "open");
  world.socket.open();
  assert.equal(connection.transport, "websocket");
  assert.equal(world.stream.readyState, 2);
  world.stream.receive('{"group": "a", "position": "e1.2", "message": "late"}', "e1.2");
  world.stream.lose();
  world.socket.receive('{"group": "a", "position": "e1.1", "message": 1}');
  world.socket.receive('{"group": "a", "position": "e1.2", "message": 2}');
  assert.deepEqual(
    told.messages.map(({ data }) => data),
    [1, 2],
  );
  assert.deepEqual(world.delays, []);
});

test("websockets are tried again every minute or so", () => {
  const { world, connection, told } = streaming();
  world.socket.lose();
  for (const [random, delay] of [
    [0, 30_000],
    [1, 90_000],
  ]) {
    world.random = random;
    world.passDelay();
    world.socket.lose();
    assert.deepEqual(world.delays, [delay]);
  }
  world.passDelay();
  world.pass(10_000); // an attempt that hangs
  assert.equal(world.socket.readyState, 2);
  assert.equal(connection.transport, "eventStream");
  assert.equal(connection.state, "open");
  world.passDelay();
  world.socket.open();
  assert.equal(connection.transport, "websocket");
  assert.deepEqual(told.states.slice(-2), ["open", "open"]);
});

test("who looks at the page has websockets tried at once", () => {
  const { world } = streaming();
  world.socket.lose();
  world.fire("visibilitychange", world.document);
  assert.equal(world.sockets.length, 5);
});

test("a stream that ends is followed by one websocket, then a stream again", () => {
  const { world, connection } = streaming();
  world.socket.lose();
  world.pass(10_000);
  world.stream.lose();
  assert.equal(connection.state, "waiting");
  assert.equal(connection.transport, null);
  world.passDelay();
  assert.equal(world.streams.length, 1);
  world.socket.lose();
  world.passDelay();
  assert.equal(world.streams.length, 2);
  assert.equal(world.stream.url.searchParams.get("since"), "0");
});

test("a stream that ends while a websocket is tried leaves it to that", () => {
  const { world, connection } = streaming();
  world.stream.lose();
  assert.equal(connection.state, "connecting");
  assert.equal(world.delays.length, 1);
  world.pass(10_000);
  assert.equal(connection.state, "waiting");
  world.passDelay();
  assert.equal(world.streams.length, 2);
});

test("a server that is away gets websockets and streams in turn", () => {
  const { world } = withoutWebsockets();
  for (let turn = 0; turn < 3; turn++) {
    assert.equal(world.streams.length, turn + 1);
    world.stream.lose();
    world.passDelay();
    world.socket.lose();
    world.passDelay();
  }
});

test("a websocket that opens, and breaks before any message, is broken", () => {
  const world = new World();
  world.connect("/socket/", OPTIONS);
  for (let attempt = 0; attempt < 3; attempt++) {
    world.socket.open();
    world.socket.lose();
    world.passDelay();
  }
  assert.equal(world.streams.length, 1);
});

for (const [what, live] of Object.entries({
  "carried a message": (world) => world.socket.receive("hello"),
  "lasted for ten seconds": (world) => world.pass(10_000),
})) {
  test(`a websocket that ${what} is not`, () => {
    const world = new World();
    world.connect("/socket/", OPTIONS);
    for (let attempt = 0; attempt < 10; attempt++) {
      world.socket.open();
      live(world);
      world.socket.lose();
      world.passDelay();
    }
    assert.equal(world.streams.length, 0);
  });
}

test("a close code is proof of a websocket that works", () => {
  const world = new World();
  world.connect("/socket/", OPTIONS);
  for (let attempt = 0; attempt < 10; attempt++) {
    world.socket.open();
    world.socket.lose(1013);
    world.passDelay();
  }
  assert.equal(world.streams.length, 0);
});

test("failures of an offline browser say nothing", () => {
  const world = new World();
  world.connect("/socket/", OPTIONS);
  for (let attempt = 0; attempt < 5; attempt++) {
    world.goOffline();
    world.socket.lose();
    world.goOnline();
  }
  assert.equal(world.streams.length, 0);
});

test("nothing can be sent by a stream", () => {
  const { connection } = streaming();
  assert.throws(() => connection.send("hello"), { name: "InvalidStateError" });
});

test("a queue waits for the next websocket", () => {
  const { world, connection } = streaming({ ...OPTIONS, whileClosed: "queue" });
  connection.send("hello");
  world.socket.open();
  assert.deepEqual(world.socket.sent, ["hello"]);
});

test("binary messages of a group without history", () => {
  const { world, told } = streaming({ eventStream: "/events/" });
  world.stream.receive('{"group": "a", "bytes": "AQI="}');
  assert.deepEqual([...new Uint8Array(told.messages[0].data)], [1, 2]);
  assert.deepEqual([told.messages[0].group, told.messages[0].position], ["a", null]);
});

test("without since, texts of a stream pass as they are", () => {
  const { world, told } = streaming({ eventStream: "/events/" });
  const texts = ["hello", '{"group": "a", "position": "e1.1", "message": 1}', '{"group": "a", "message": 1}'];
  for (const text of texts) world.stream.receive(text);
  assert.deepEqual(
    told.messages.map(({ data }) => data),
    texts,
  );
  assert.equal(world.stream.url.search, "");
});

test("the end ends all", () => {
  const { world, connection } = streaming();
  connection.close();
  assert.equal(world.stream.readyState, 2);
  assert.equal(world.socket.readyState, 2);
  assert.deepEqual(world.delays, []);
  world.stream.receive("late");
  world.stream.lose();
  world.socket.open();
  assert.equal(connection.state, "closed");
});
