"use strict";

/** How values are shown. */
window.LiveFormats = (() => {
  const whole = new Intl.NumberFormat("en");
  const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

  function bytes(value) {
    let unit = 0;
    while (value >= 1024 && unit < UNITS.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return `${unit ? short.format(value) : whole.format(value)} ${UNITS[unit]}`;
  }

  function duration(seconds) {
    const parts = [
      [Math.floor(seconds / 86400), "d"],
      [Math.floor(seconds / 3600) % 24, "h"],
      [Math.floor(seconds / 60) % 60, "min"],
      [Math.floor(seconds) % 60, "s"],
    ];
    const first = parts.findIndex(([number]) => number > 0);
    return first < 0 ? "0 s" : parts.slice(first, first + 2).map(([number, unit]) => `${number} ${unit}`).join(" ");
  }

  function milliseconds(seconds) {
    return seconds === null ? "–" : `${short.format(seconds * 1000)} ms`;
  }

  function rate(value) {
    return value === null ? "–" : value < 100 ? short.format(value) : whole.format(Math.round(value));
  }

  const number = (value) => whole.format(value);

  /** What a cell shows of a row. */
  const cells = {
    path: (row) => row.path + (row.closing ? " (closing)" : ""),
    view: (row) => row.view,
    user: (row) => row.user,
    address: (row) => row.address,
    age: (row) => duration(row.age),
    received: (row) => number(row.received),
    sent: (row) => number(row.sent),
    bytes_received: (row) => bytes(row.bytes_received),
    bytes_sent: (row) => bytes(row.bytes_sent),
    latency: (row) => milliseconds(row.latency),
    buffered: (row) => bytes(row.buffered),
    groups: (row) => row.groups.join(", ") + (row.more_groups ? ` and ${number(row.more_groups)} more` : "") || "–",
  };

  return { number, milliseconds, rate, duration, cells };
})();
