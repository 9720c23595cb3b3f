// Asks by the client that `cargo murmur clients` has made for page-traffic, in Node. It lies in the client's folder.
//
//     ask.mjs URL QUESTION      prints a JSON object with all replies; QUESTION is one too
//     ask.mjs URL one           makes one call with a token; prints how it ended
//     ask.mjs URL brief         the same with a deadline of a second
//     ask.mjs URL watch         prints the views in two replies, each when it comes

import { everything, one, views } from "./asking.mjs";

const [url, asked] = process.argv.slice(2);
const print = (answer) => console.log(JSON.stringify(answer));
if (asked === "one") print(await one(url));
else if (asked === "brief") print(await one(url, { timeoutMs: 1000 }));
else if (asked === "watch") for await (const count of views(url)) print(count);
else print(await everything(url, JSON.parse(asked)));
