import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.mjs";

const envelope = (group, position, message) => JSON.stringify({ group, position, message });

function opened(options = { since: "0" }, url = "/socket/?room=a%20b") {
  const world = new World();
  const { connection, told } = world.connect(url, options);
  world.socket.open();
  return { world, connection, told, data: () => told.messages.map(({ data }) => data) };
}

function comeBack(world) {
  world.socket.lose();
  world.passDelay();
  world.socket.open();
  return world.socket.url.searchParams.get("since");
}

test("each attempt asks for what follows the last message", () => {
  const { world, told } = opened();
  assert.equal(world.socket.url.searchParams.get("since"), "0");
  assert.equal(world.socket.url.searchParams.get("room"), "a b");
  world.socket.receive(envelope("chat", "e1.1", "hello"));
  world.socket.receive(envelope("chat", "e1.2", { text: "there" }));
  assert.equal(comeBack(world), "e1.2");
  assert.deepEqual(told.messages, [
    { data: "hello", group: "chat", position: "e1.1" },
    { data: { text: "there" }, group: "chat", position: "e1.2" },
  ]);
});

test("a position of the page's own to begin with", () => {
  const { world } = opened({ since: "k3v9.17" });
  assert.equal(world.socket.url.searchParams.get("since"), "k3v9.17");
});

test("without since, nothing is asked for or unpacked", () => {
  for (const since of [undefined, null]) {
    const { world, data } = opened({ since });
    const text = envelope("chat", "e1.1", "hello");
    world.socket.receive(text);
    assert.equal(comeBack(world), null);
    assert.deepEqual(data(), [text]);
  }
});

test("what comes twice over the seam is told once", () => {
  const { world, data } = opened();
  for (const number of [1, 2, 3]) world.socket.receive(envelope("chat", `e1.${number}`, number));
  comeBack(world);
  for (const number of [2, 3, 4, 10]) world.socket.receive(envelope("chat", `e1.${number}`, number));
  world.socket.receive(envelope("chat", "e1.9", 9));
  assert.deepEqual(data(), [1, 2, 3, 4, 10]);
  assert.equal(comeBack(world), "e1.10");
});

test("a history that begins again is followed", () => {
  const { world, data } = opened();
  world.socket.receive(envelope("chat", "e1.17", "old"));
  comeBack(world);
  world.socket.receive(envelope("chat", "e2.1", "new"));
  world.socket.receive(envelope("chat", "e2.1", "new"));
  assert.deepEqual(data(), ["old", "new"]);
  assert.equal(comeBack(world), "e2.1");
});

test("each group has its own positions", () => {
  const { world, data } = opened();
  world.socket.receive(envelope("a", "e1.5", "a5"));
  world.socket.receive(envelope("b", "e1.4", "b4"));
  world.socket.receive(envelope("a", "e1.5", "a5"));
  world.socket.receive(envelope("a", "e1.6", "a6"));
  assert.deepEqual(data(), ["a5", "b4", "a6"]);
});

test("other messages pass as they are, and move nothing", () => {
  const { world, told } = opened();
  const others = [
    "hello",
    '"hello"',
    "null",
    "5",
    "[]",
    "{",
    '{"here": ["ann"]}',
    '{"group": "chat", "message": "no position"}',
    '{"group": "chat", "position": "e1.1"}',
    '{"group": "chat", "position": 1.5, "message": ""}',
    '{"group": "chat", "position": {}, "message": ""}',
    '{"group": "chat", "position": "", "message": ""}',
    '{"group": "chat", "position": "x.y", "message": ""}',
    '{"group": 5, "position": "e1.1", "message": ""}',
    '{"position": "e1.1", "message": ""}',
    '{"group": "chat", "bytes": "AAE="}',
    new Uint8Array([1, 2]).buffer,
  ];
  for (const other of others) world.socket.receive(other);
  assert.deepEqual(
    told.messages,
    others.map((data) => ({ data, group: null, position: null })),
  );
  assert.equal(comeBack(world), "0");
});

test("binary messages come out of their envelopes", () => {
  const { world, told } = opened();
  world.socket.receive('{"group": "chat", "position": "e1.1", "bytes": "AP8Q"}');
  world.socket.receive('{"group": "chat", "position": "e1.2", "bytes": ""}');
  assert.deepEqual(
    told.messages.map(({ data }) => [...new Uint8Array(data)]),
    [[0, 255, 16], []],
  );
  assert.ok(told.messages.every(({ data }) => data instanceof ArrayBuffer));
});

test("falsy values are values", () => {
  const { world, data } = opened();
  const values = [null, false, 0, ""];
  values.forEach((value, index) => world.socket.receive(envelope("chat", `e1.${index + 1}`, value)));
  assert.deepEqual(data(), values);
});

test("it goes on behind the last message after an end, too", () => {
  const { world, connection, data } = opened();
  world.socket.receive(envelope("chat", "e1.1", "hello"));
  world.socket.lose(4401);
  connection.retry();
  world.socket.open();
  assert.equal(world.socket.url.searchParams.get("since"), "e1.1");
  world.socket.receive(envelope("chat", "e1.1", "hello"));
  assert.deepEqual(data(), ["hello"]);
});

test("a listener that fails loses nothing but its own message", (context) => {
  // Node ends with the error of a listener; browsers report it.
  const errors = [];
  const { listeners } = { listeners: process.listeners("uncaughtException") };
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => errors.push(error.message));
  context.after(() => {
    process.removeAllListeners("uncaughtException");
    listeners.forEach((listener) => process.on("uncaughtException", listener));
  });
  const { world, connection, data } = opened();
  connection.addEventListener("message", () => {
    throw new Error("the listener's");
  });
  world.socket.receive(envelope("chat", "e1.1", "one"));
  world.socket.receive(envelope("chat", "e1.2", "two"));
  assert.equal(comeBack(world), "e1.2");
  assert.deepEqual(data(), ["one", "two"]);
  return new Promise((resolve) => setImmediate(resolve)).then(() =>
    assert.deepEqual(errors, ["the listener's", "the listener's"]),
  );
});
