// Asks a list of questions by the client that `cargo murmur clients` has made for page-traffic, or for another program, whose names
// stand here then; in Node as in a browser. It lies in the client's folder.

import { fromJson, toJson } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";

import * as made from "./dist/index.js";

// Long, as a machine that is busy is no reason to fail.
const timeoutMs = 300_000;

// A moment of Temporal's, as far as the client looks at it: exact to the nanosecond, which a `Date` is not.
const at = (instant) =>
  instant && { epochNanoseconds: instant.seconds * 1_000_000_000n + BigInt(instant.nanos) };

const span = (length) => length && { seconds: Number(length.seconds), nanoseconds: length.nanos };

async function first(watching) {
  const { value } = await watching.next();
  await watching.return();
  return value;
}

/** For each method what the client has for it. */
const calls = {
  Get: (client, { key, options }) => client.get(key, { options }),
  GetMany: (client, { keys }) => client.getMany(keys),
  GetWindow: (client, { key, window, calendar, end }) =>
    calendar ? client.calendar(key, calendar, { end: at(end) }) : client.window(key, span(window), { end: at(end) }),
  GetWindowMany: (client, { keys, window, calendar, end }) =>
    calendar
      ? client.calendarMany(keys, calendar, { end: at(end) })
      : client.windowMany(keys, span(window), { end: at(end) }),
  GetRange: (client, { key, start, end }) => client.range(key, at(start), at(end)),
  GetRangeMany: (client, { keys, start, end }) => client.rangeMany(keys, at(start), at(end)),
  Series: (client, { key, start, end, step, calendar, calendarStep }) =>
    calendar
      ? client.calendarSeries(key, calendar, { end: at(end), step: calendarStep })
      : client.series(key, at(start), { end: at(end), step: span(step) }),
  CombineSets: (client, { sets, operation, field }) => client.combineSets(sets, operation, { field }),
  Watch: (client, { key, window, calendar }) => first(client.watch(key, { window: span(window), calendar })),
  WatchMany: (client, { keys, window, calendar }) => first(client.watchMany(keys, { window: span(window), calendar })),
};

const plain = (message) => toJson(made[`${message.$typeName.split(".").pop()}Schema`], message);

/** For each question `{reply}`, or `{error}` with the number of gRPC's code. */
export async function replies(url, questions, settings = {}) {
  const client = new made.PageTrafficClient(url, { timeoutMs, ...settings });
  const answers = [];
  for (const { method, request } of questions) {
    try {
      const reply = await calls[method](client, fromJson(made[`PageTrafficService${method}RequestSchema`], request));
      answers.push({ reply: Array.isArray(reply) ? { entries: reply.map(plain) } : plain(reply) });
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      answers.push({ error: { code: error.code, message: error.rawMessage } });
    }
  }
  return answers;
}
