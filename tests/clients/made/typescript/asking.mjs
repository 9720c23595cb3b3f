// Asks by the client that `cargo murmur clients` has made for page-traffic, in Node as in a browser. It lies in the
// client's folder.
//
//     QUESTION        a JSON object with all replies; QUESTION is one too
//     one             makes one call with a token; how it ended
//     brief           the same with a deadline of a second
//     watch           the views in two replies, each when it comes
//     absence=MS      watches, and asks for a server that is away for so many milliseconds; how that ended

import { toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import * as made from "./dist/index.js";

// Long, as a machine that is busy is no reason to fail.
const timeoutMs = 300_000;

// `FailedPrecondition` as gRPC writes it.
const screaming = (name) => name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();

async function code(call) {
  try {
    await call();
    return "OK";
  } catch (error) {
    if (error instanceof ConnectError) return screaming(Code[error.code]);
    throw error;
  }
}

/** What comes of what is asked. */
export async function* answers(url, asked, settings = {}) {
  if (asked === "one") yield await one(url, settings);
  else if (asked === "brief") yield await one(url, { ...settings, timeoutMs: 1000 });
  else if (asked === "watch") yield* views(url, settings);
  else if (asked.startsWith("absence=")) yield await gone(url, { ...settings, absenceMs: Number(asked.split("=")[1]) });
  else yield await everything(url, JSON.parse(asked), settings);
}

async function one(url, settings) {
  const client = new made.PageTrafficClient(url, { token: async () => "secret", timeoutMs, ...settings });
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
  return await code(() => new made.PageTrafficClient(url, settings).watch({}).next());
}

async function everything(url, question, settings) {
  const keys = question.pages.map((pageId) => ({ pageId }));
  const [key] = keys;
  const window = { seconds: question.window };
  // A moment of Temporal's, as far as the client looks at it.
  const [start, end] = [new Date(question.start * 1000), { epochNanoseconds: BigInt(question.end) * 1_000_000_000n }];
  const today = { days: 1, zone: question.zone };
  const plain = (message) => toJson(made[`${message.$typeName.split(".").pop()}Schema`], message);
  const entries = (entries) => ({ entries: entries.map(plain) });

  const client = new made.PageTrafficClient(url, { timeoutMs, ...settings });
  const stop = new AbortController();
  const watch = client.watch(key, { signal: stop.signal });
  const first = await watch.next();
  const watchMany = client.watchMany(keys, { signal: stop.signal });
  const set = await watchMany.next();
  const presence = async ({ page, start, end }) => {
    const reply = await client.range({ pageId: page }, new Date(start * 1000), new Date(end * 1000));
    return `PRESENCE_${made.murmur.Presence[reply.answer.presence]}`;
  };
  const answers = {
    replies: {
      Get: plain(await client.get(key)),
      GetMany: entries(await client.getMany(keys)),
      GetWindow: plain(await client.window(key, window, { end })),
      GetWindowMany: entries(await client.windowMany(keys, window, { end })),
      GetRange: plain(await client.range(key, start, end)),
      GetRangeMany: entries(await client.rangeMany(keys, start, end)),
      Series: plain(await client.series(key, start, { end, step: { seconds: question.step } })),
      Watch: plain(first.value),
      WatchMany: entries(set.value.entries),
    },
    today: [
      plain(await client.calendar(key, today, { end })),
      plain((await client.calendarMany(keys, today, { end }))[0]),
      plain((await client.calendarSeries(key, today, { end, step: { days: 1 } })).points[0]),
    ],
    edges: entries(await client.getMany(question.edges.map((pageId) => ({ pageId })))),
    presence: Object.fromEntries(
      await Promise.all(Object.entries(question.presence).map(async ([name, of]) => [name, await presence(of)])),
    ),
    explained: (await client.get(key, { options: { explain: true } })).answer.explanation !== undefined,
    combined: await code(() =>
      client.combineSets([{ key }, { key: keys[1], window: { seconds: 600n } }], made.murmur.SetOperation.UNION),
    ),
  };
  stop.abort();
  await watch.return();
  await watchMany.return();
  return answers;
}
