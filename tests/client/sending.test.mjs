import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.mjs";

test("what is sent while it is open goes out", () => {
  const world = new World();
  const { connection } = world.connect();
  world.socket.open();
  const bytes = new Uint8Array([1, 2]).buffer;
  connection.send("text");
  connection.send(bytes);
  connection.sendJSON({ a: [1, null] });
  assert.deepEqual(world.socket.sent, ["text", bytes, '{"a":[1,null]}']);
});

test("by default, what can't be sent is refused", () => {
  const world = new World();
  const { connection } = world.connect();
  const refused = { name: "InvalidStateError" };
  assert.throws(() => connection.send("connecting"), refused);
  world.socket.open();
  world.socket.close(); // the closing handshake has begun: the browser would drop messages without a word
  assert.throws(() => connection.send("closing"), refused);
  world.socket.lose();
  assert.throws(() => connection.sendJSON("waiting"), refused);
  world.passDelay();
  world.socket.open();
  assert.deepEqual(world.socket.sent, []);
  connection.close();
  assert.throws(() => connection.send("closed"), refused);
});

test("a queue keeps the order", () => {
  const world = new World();
  const { connection } = world.connect("/socket/", { whileClosed: "queue" });
  connection.addEventListener("statechange", () => connection.state === "open" && connection.send("on opening"));
  connection.send("1");
  world.socket.lose();
  connection.send("2");
  world.passDelay();
  connection.sendJSON(3);
  world.socket.open();
  connection.send("4");
  assert.deepEqual(world.socket.sent, ["1", "2", "3", "on opening", "4"]);
  world.socket.lose();
  world.passDelay();
  world.socket.open();
  assert.deepEqual(world.socket.sent, ["on opening"]);
});

test("a queue keeps messages as they were", () => {
  const world = new World();
  const { connection } = world.connect("/socket/", { whileClosed: "queue" });
  const bytes = new Uint8Array([1, 2]);
  connection.send(bytes.buffer);
  connection.send(bytes.subarray(1));
  connection.send(new Blob(["abc"]));
  bytes.fill(9);
  world.socket.open();
  const [buffer, view, blob] = world.socket.sent;
  assert.deepEqual([...new Uint8Array(buffer)], [1, 2]);
  assert.deepEqual([...view], [2]);
  assert.equal(blob.size, 3);
});

test("a queue keeps of a view's buffer what is to be sent, as it may be a whole program's memory", () => {
  const world = new World();
  const { connection } = world.connect("/socket/", { whileClosed: "queue" });
  const memory = new Uint8Array(1 << 20).fill(7);
  connection.send(memory.subarray(0, 3));
  connection.send(new DataView(memory.buffer, 0, 2));
  memory.fill(9);
  world.socket.open();
  const [bytes, view] = world.socket.sent;
  assert.deepEqual([...bytes], [7, 7, 7]);
  assert.equal(bytes.buffer.byteLength, 3);
  assert.equal(view.byteLength, 2);
  assert.equal(view.getUint8(1), 7);
});

test("a queue is bounded by messages", () => {
  const world = new World();
  const { connection } = world.connect("/socket/", { whileClosed: "queue" });
  for (let number = 0; number < 1000; number++) connection.send(String(number));
  assert.throws(() => connection.send("1000"), { name: "QuotaExceededError" });
  world.socket.open();
  assert.equal(world.socket.sent.length, 1000);
  world.socket.lose();
  connection.send("there is room again");
});

for (const [kind, make] of Object.entries({
  text: (size) => "x".repeat(size),
  binary: (size) => new ArrayBuffer(size),
  view: (size) => new Float64Array(size / 8),
  blob: (size) => new Blob([new ArrayBuffer(size)]),
})) {
  test(`a queue is bounded by size: ${kind}`, () => {
    const world = new World();
    const { connection } = world.connect("/socket/", { whileClosed: "queue" });
    connection.send(make(1 << 19));
    connection.send(make(1 << 19));
    assert.throws(() => connection.send(make(8)), { name: "QuotaExceededError" });
    world.socket.open();
    world.socket.lose();
    connection.send(make(1 << 20));
    assert.throws(() => connection.send("x"), { name: "QuotaExceededError" });
  });
}

test("what is no message is sent as a text", () => {
  const world = new World();
  const { connection } = world.connect("/socket/", { whileClosed: "queue" });
  connection.send(12345);
  connection.send("x".repeat((1 << 20) - 5));
  assert.throws(() => connection.send("x"), { name: "QuotaExceededError" });
});

test("the end empties the queue", () => {
  const world = new World();
  const { connection } = world.connect("/socket/", { whileClosed: "queue" });
  connection.send("never sent");
  connection.close();
  assert.throws(() => connection.send("closed"), { name: "InvalidStateError" });
  connection.retry();
  world.socket.open();
  assert.deepEqual(world.socket.sent, []);
});
