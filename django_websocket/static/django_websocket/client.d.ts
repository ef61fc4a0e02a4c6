export type State = "connecting" | "open" | "waiting" | "offline" | "closed";

export type Sendable = string | ArrayBuffer | ArrayBufferView | Blob;

/** What django_websocket.tickets.view answers, or a ticket alone, which is not refreshed. */
export type Ticket = string | { ticket: string; refresh_in?: number | null };

export interface Options {
  /** Subprotocols to offer. */
  protocols?: readonly string[];
  /** The position to go on behind; "0" is the beginning of what is kept. Unpacks the envelopes of groups. */
  since?: string | null;
  /** The path or http(s) URL of server-sent events, which take over where websockets are broken. */
  eventStream?: string;
  /** What send() does while no websocket is open: it throws, or keeps the message. "refuse" by default. */
  whileClosed?: "refuse" | "queue";
  /** Close codes after which it doesn't connect again, besides the usual ones. */
  finalCodes?: readonly number[];
  /** Gets a ticket, for each attempt and before a connection needs another one; null ends it. */
  ticket?: () => Ticket | null | PromiseLike<Ticket | null>;
}

/** A message. `data` is a string, an ArrayBuffer, or the value that was in an envelope. */
export interface ConnectionMessageEvent<T = any> extends MessageEvent<T> {
  /** In the group's history; null of other messages. */
  readonly position: string | null;
  /** The group's name; null of other messages. */
  readonly group: string | null;
}

export interface ConnectionEventMap {
  message: ConnectionMessageEvent;
  statechange: Event;
  /** It ended, and does not connect again. */
  close: CloseEvent;
}

export interface Connection extends EventTarget {
  readonly state: State;
  /** What it is open by; null while it is not. Nothing can be sent by "eventStream". */
  readonly transport: "websocket" | "eventStream" | null;
  /** How many attempts in a row have failed, or were lost within ten seconds. */
  readonly attempts: number;
  /** The close code with which the last connection or attempt ended, 1006 if nobody said goodbye; null before. */
  readonly code: number | null;

  /** Throws an InvalidStateError if it can't, and a QuotaExceededError if too much is queued. */
  send(data: Sendable): void;
  /** Sends `value` as JSON. */
  sendJSON(value: unknown): void;
  /** Ends it. `code` is 1000, or 3000 to 4999. */
  close(code?: number, reason?: string): void;
  /** Connects at once, instead of waiting; begins anew if it is closed. */
  retry(): void;

  addEventListener<K extends keyof ConnectionEventMap>(
    type: K,
    listener: (this: Connection, event: ConnectionEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof ConnectionEventMap>(
    type: K,
    listener: (this: Connection, event: ConnectionEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** Connects to `url`, a path or an absolute URL, and again whenever the connection is lost. */
export function connect(url: string | URL, options?: Options): Connection;
