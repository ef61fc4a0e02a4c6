// What a page may do with the client, and what its types forbid.

import { connect, type Connection, type ConnectionMessageEvent, type Options, type State } from "django-websocket";

interface Line {
  name: string;
  text: string;
}

const options: Options = {
  protocols: ["chat.v2"] as const,
  since: "0",
  eventStream: "/events/",
  whileClosed: "queue",
  finalCodes: [4000],
  ticket: async () => {
    const response = await fetch("/ticket/", { method: "POST" });
    return response.status === 401 ? null : response.json();
  },
};

const socket: Connection = connect("/socket/", options);
connect(new URL("https://example.com/socket/"), { ticket: () => "ticket", since: null });
connect("/socket/", { ticket: async () => ({ ticket: "ticket", expires_in: 60, refresh_in: null }) });

socket.addEventListener("message", (event) => {
  const position: string | null = event.position;
  const group: string | null = event.group;
  console.log(event.data, position, group);
});
socket.addEventListener("message", (event: ConnectionMessageEvent<Line>) => console.log(event.data.name));
socket.addEventListener("statechange", () => {
  const state: State = socket.state;
  const canSend: boolean = socket.transport === "websocket";
  console.log(state, canSend, socket.attempts + 1, socket.code === 1013);
});
socket.addEventListener("close", (event) => console.log(event.code + 1, event.reason), { once: true });
socket.send("text");
socket.send(new ArrayBuffer(1));
socket.send(new Uint8Array(1));
socket.send(new Blob(["text"]));
socket.sendJSON({ a: [1, null] });
socket.close();
socket.close(4000, "enough");
socket.retry();

// @ts-expect-error it needs a URL
connect();
// @ts-expect-error there is no such option
connect("/socket/", { sinceWhen: "0" });
// @ts-expect-error there is no such choice
connect("/socket/", { whileClosed: "drop" });
// @ts-expect-error a position is a string
connect("/socket/", { since: 0 });
// @ts-expect-error a ticket is a string
connect("/socket/", { ticket: async () => 5 });
// @ts-expect-error an object goes by sendJSON
socket.send({});
// @ts-expect-error the client sets it
socket.state = "open";
// @ts-expect-error there is no such state
console.log(socket.state === "closing");
// @ts-expect-error a close event has no data
socket.addEventListener("close", (event) => console.log(event.data));
