"use strict";

/** The page: what it asks for, and its websocket. */
(() => {
  const root = document.getElementById("live");
  const find = (selector) => root.querySelector(selector);
  const formats = window.LiveFormats;
  const MAX_REASON = 123; // bytes: RFC 6455, section 5.5
  const MAX_DELAY = 30_000;

  const charts = new window.LiveCharts(root);
  const table = new window.LiveTable(root, { onUser: chooseUser, onClose: openDialog });
  let query = { search: "", view: null, user: null, sort: "path", descending: false, cursor: null, backwards: false };
  let number = 0;
  let announced = 0;
  let page = null;
  let paused = false;
  let socket = null;
  let attempts = 0;
  let timer = null;

  // The websocket

  function connect() {
    clearTimeout(timer);
    const url = new URL(root.dataset.socket, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    const opened = socket;
    socket.addEventListener("open", () => {
      attempts = 0;
      say("Live");
      send({ query, number, paused });
    });
    socket.addEventListener("message", (event) => {
      if (socket === opened) receive(JSON.parse(event.data));
    });
    socket.addEventListener("close", (event) => {
      if (socket === opened) lost(event);
    });
  }

  function lost(event) {
    socket = null;
    if (document.hidden) return;
    if (event.code === 4401) return say("You are logged out. Load the page again to log in.");
    if (event.code === 1008) return say(`Closed by the server: ${event.reason}. Load the page again to go on.`);
    attempts += 1;
    const delay = Math.min(MAX_DELAY, 500 * 2 ** attempts) * (0.5 + Math.random() / 2);
    say(event.reason ? `Not connected: ${event.reason}. Will try again.` : "Not connected. Will try again.");
    timer = setTimeout(connect, delay);
  }

  function send(message) {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  }

  /** Nothing is gathered for a page that nobody sees. */
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) {
      if (!socket) connect();
    } else if (socket) {
      const closing = socket;
      socket = null;
      closing.close(1000);
    }
  });

  function receive(message) {
    if (message.page) {
      if (message.number === number) show(message.page);
    } else if (message.refused) {
      say(message.refused);
    } else if ("closed" in message) {
      let text = message.closed === 1 ? "Closed 1 websocket." : `Closed ${formats.number(message.closed)} websockets.`;
      if (message.missing) text += ` Processes that have not answered: ${message.missing}.`;
      if (message.unavailable) text += ` Other processes could not be told: ${message.unavailable}.`;
      say(text);
    }
  }

  /** For screen readers, too: only for what somebody has done, or has to know. */
  function say(text) {
    const state = find("#live-state");
    if (state.textContent !== text) state.textContent = text;
  }

  // What there is to see

  function show(next) {
    page = next;
    query = { ...query, cursor: page.query.cursor, backwards: page.query.backwards };
    table.show(page.rows, query);
    charts.add(page);
    find("[data-figure=sockets]").textContent = formats.number(page.sockets);
    find("[data-figure=received_rate]").textContent = formats.rate(page.received_rate);
    find("[data-figure=sent_rate]").textContent = formats.rate(page.sent_rate);
    find("[data-figure=lag]").textContent = formats.milliseconds(page.lag);
    showRange();
    showViews();
    showProcesses();
    showNotes();
    if (announced !== number) {
      announced = number;
      say(`${find("#live-range").textContent}`);
    }
  }

  function showRange() {
    const last = page.first + page.rows.length;
    const rows = page.rows.length ? `${formats.number(page.first + 1)}–${formats.number(last)} of ` : "";
    find("#live-range").textContent = `${rows}${formats.number(page.matching)}`;
    const possible = {
      first: page.first > 0, previous: page.first > 0, next: last < page.matching, last: last < page.matching,
    };
    // Not disabled: that would lose the focus.
    for (const button of root.querySelectorAll("[data-page]")) {
      button.setAttribute("aria-disabled", String(!possible[button.dataset.page]));
    }
  }

  function showViews() {
    const select = find("#live-view");
    const names = Object.keys(page.views);
    if (query.view !== null && !names.includes(query.view)) names.push(query.view);
    names.sort();
    const known = [...select.options].slice(1).map((option) => option.value);
    if (document.activeElement !== select && JSON.stringify(known) !== JSON.stringify(names)) {
      select.length = 1;
      for (const name of names) select.add(new Option(name || "(none)", name));
      select.value = query.view ?? "";
    }
  }

  function showProcesses() {
    const count = page.processes.length;
    find("#live-process-count").textContent = count === 1 ? "1 process" : `${formats.number(count)} processes`;
    replaceItems(find("#live-processes"), page.processes.map((one) => {
      const lag = one.lag === null ? "" : `, lag ${formats.milliseconds(one.lag)}`;
      return `${one.pid} on ${one.host}: ${formats.number(one.sockets)} websockets${lag}`;
    }));
  }

  function showNotes() {
    const notes = page.late.map((one) => (
      `Process ${one.pid} on ${one.host} does not answer; its websockets are missing here.`
    ));
    if (page.unavailable) notes.push(`Other processes can't be asked, theirs are missing here: ${page.unavailable}.`);
    if (page.alone) {
      notes.push("This is one of several processes, and they can't ask each other: WEBSOCKET_GROUPS keeps groups in memory.");
    }
    const list = find("#live-notes");
    list.hidden = !notes.length;
    if (replaceItems(list, notes)) say(notes.length ? notes.join(" ") : "Live");
  }

  /** Returns whether anything changed. */
  function replaceItems(list, texts) {
    if (JSON.stringify([...list.children].map((item) => item.textContent)) === JSON.stringify(texts)) return false;
    list.replaceChildren(...texts.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
    return true;
  }

  // What to ask for

  function ask(changes) {
    query = { ...query, cursor: null, backwards: false, ...changes };
    number += 1;
    find("#live-sort").value = query.sort;
    find("#live-direction").setAttribute("aria-pressed", String(query.descending));
    find("#live-user").hidden = query.user === null;
    send({ query, number });
  }

  function sortBy(name) {
    const isText = !find(`th[data-column=${name}]`).classList.contains("live-number");
    ask({ sort: name, descending: name === query.sort ? !query.descending : !isText });
  }

  function chooseUser(row) {
    find("#live-user b").textContent = row.user;
    ask({ user: row.user_id });
    find("#live-user button").focus();
  }

  function turn(to) {
    if (to === "first") ask({});
    else if (to === "last") ask({ backwards: true });
    else if (to === "next") ask({ cursor: page.rows.at(-1).position });
    else ask({ cursor: page.rows[0].position, backwards: true });
  }

  function pause(on) {
    paused = on;
    const button = find("#live-pause");
    button.setAttribute("aria-pressed", String(on));
    say(on ? "Paused" : "Live");
    send({ paused });
  }

  let typing = null;
  find("#live-search").addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => ask({ search: event.target.value }), 250);
  });
  find("#live-filters").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    ask({ search: find("#live-search").value });
  });
  find("#live-view").addEventListener("change", (event) => {
    ask({ view: event.target.selectedIndex ? event.target.value : null });
  });
  find("#live-sort").addEventListener("change", (event) => ask({ sort: event.target.value }));
  find("#live-direction").addEventListener("click", () => ask({ descending: !query.descending }));
  find("#live-user button").addEventListener("click", () => {
    ask({ user: null });
    find("#live-search").focus();
  });
  find("#live-pause").addEventListener("click", () => pause(!paused));
  for (const head of root.querySelectorAll("th[data-column]")) {
    head.querySelector("button").addEventListener("click", () => sortBy(head.dataset.column));
  }
  for (const button of root.querySelectorAll("[data-page]")) {
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true" && page) turn(button.dataset.page);
    });
  }

  // Closing

  const dialog = find("#live-dialog");
  let chosen = null;

  function openDialog(row) {
    chosen = row;
    dialog.querySelector("form").reset();
    dialog.querySelector("[data-what=one]").textContent = row.path + (row.user ? ` of ${row.user}` : ` from ${row.address}`);
    dialog.querySelector("[data-what=user]").textContent = row.user;
    dialog.querySelector("[data-of-user]").hidden = !row.user_id;
    checkReason();
    dialog.returnValue = "";
    dialog.showModal();
    find("#live-reason").focus();
  }

  function checkReason() {
    const input = find("#live-reason");
    const size = new TextEncoder().encode(input.value.trim()).length;
    input.setCustomValidity(!size && input.value ? "A reason, please." : size > MAX_REASON ? "This is too long." : "");
  }

  if (dialog) {
    find("#live-reason").addEventListener("input", checkReason);
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "close") return;
      const form = new FormData(dialog.querySelector("form"));
      const reason = form.get("reason").trim();
      const [process, index] = [chosen.position[1], chosen.position[2]];
      const whom = form.get("scope") === "user" ? { user: chosen.user_id } : { websocket: [process, index] };
      send({ order: { reason, ...whom } });
    });
  }

  connect();
})();
