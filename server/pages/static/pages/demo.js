// What the pages share: how a connection stands, and a log.

const WORDS = {
  connecting: "connecting",
  open: "connected",
  waiting: "lost; trying again soon",
  offline: "offline",
  closed: "closed",
};

/** Keep the section's <output> at the socket's state. */
export function showState(socket, section) {
  const output = section.querySelector("output");
  const show = () => {
    output.dataset.state = socket.state;
    output.value = WORDS[socket.state];
  };
  socket.addEventListener("statechange", show);
  show();
}

/** Call `send` with the form's elements when it is submitted, which it only can be while the socket is open. */
export function sendBy(form, socket, send) {
  const button = form.querySelector("button:not([type])");
  const show = () => { button.disabled = socket.state !== "open"; };
  socket.addEventListener("statechange", show);
  show();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form.elements);
  });
}

/** Add a line to the section's log: "sent", "received", or a "note". */
export function log(section, kind, text) {
  const list = section.querySelector(".log");
  const line = document.createElement("li");
  line.dataset.kind = kind;
  line.textContent = text;
  list.append(line);
  if (list.children.length > 200) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}
