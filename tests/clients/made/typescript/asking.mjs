// Asks by the client that `cargo murmur clients` has made for page-traffic, in Node as in a browser. It lies in the
// client's folder.
//
//     a JSON array    of questions; the answers of `questions.mjs` to them
//     one             makes one call with a token; how it ended
//     brief           the same with a deadline of a second
//     watch           the views in two replies, each when it comes
//     absence=MS      watches, and asks for a server that is away for so many milliseconds; how that ended
//     renew           watches with another token each time; how that ended
//     unfit           tries tokens that are none; what is said of them
//     fine            asks about half a microsecond, then about one and a half; what is said of the first

import { ConnectError } from "@connectrpc/connect";

import * as made from "./dist/index.js";
import { replies } from "./questions.mjs";

// Long, as a machine that is busy is no reason to fail.
const timeoutMs = 300_000;

/** The number of gRPC's code. */
async function code(call) {
  try {
    await call();
    return 0;
  } catch (error) {
    if (error instanceof ConnectError) return error.code;
    throw error;
  }
}

/** What comes of what is asked. */
export async function* answers(url, asked, settings = {}) {
  if (asked === "one") yield await one(url, settings);
  else if (asked === "brief") yield await one(url, { ...settings, timeoutMs: 1000 });
  else if (asked === "watch") yield* views(url, settings);
  else if (asked.startsWith("absence=")) yield await gone(url, { ...settings, absenceMs: Number(asked.split("=")[1]) });
  else if (asked === "renew") yield await renewed(url, settings);
  else if (asked === "unfit") yield* refusals(url, settings);
  else if (asked === "fine") yield await fine(url, settings);
  else yield await replies(url, JSON.parse(asked), settings);
}

async function one(url, settings) {
  const client = new made.PageTrafficClient(url, { token: async () => "secret\n", timeoutMs, ...settings });
  return await code(() => client.get({ pageId: "/home" }));
}

async function* views(url, settings) {
  let count = 0;
  for await (const reply of new made.PageTrafficClient(url, settings).watch({ pageId: "/home" })) {
    yield String(reply.value.views);
    if (++count === 2) return;
  }
}

async function gone(url, settings) {
  return await code(() => new made.PageTrafficClient(url, { token: "secret\n", ...settings }).watch({}).next());
}

async function renewed(url, settings) {
  const tokens = ["first", "second", "third"];
  const client = new made.PageTrafficClient(url, { token: () => tokens.shift(), ...settings });
  return await code(() => client.watch({}).next());
}

async function* refusals(url, settings) {
  const token = "two\ns3cr\u00e9ts";
  const client = new made.PageTrafficClient(url, { token: () => token, ...settings });
  yield await said(() => new made.PageTrafficClient(url, { token, ...settings }));
  yield await said(() => client.get({}));
  yield await said(() => client.watch({}).next());
}

/** All that an error says. */
async function said(call) {
  try {
    await call();
    return "";
  } catch (error) {
    return `${error.stack} ${error.cause}`;
  }
}

async function fine(url, settings) {
  const client = new made.PageTrafficClient(url, settings);
  const upTo = (end) => client.range({}, new Date(0), { epochNanoseconds: end });
  const first = await said(() => upTo(500n));
  await upTo(1500n);
  return first;
}
