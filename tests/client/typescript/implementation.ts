// What the client has is what its types say. "./client.js" is a copy that has no declarations beside it.

import type * as declared from "django-websocket";
import * as implemented from "./client.js";

// What is inferred of a string is no more than that.
type Loose = Omit<declared.Connection, "state" | "transport"> & { readonly state: string; readonly transport: unknown };

const connect: (url: string | URL, options?: declared.Options) => Loose = implemented.connect;

// The reverse: nothing that is public is kept secret.
type Secret = Exclude<keyof ReturnType<typeof implemented.connect>, keyof declared.Connection>;
const secrets: Secret[] = [] satisfies never[];
const none: never[] = secrets;

const names: Record<keyof typeof implemented, true> = { connect: true };

console.log(connect, none, names);
