// Asks by the client in whose folder it lies, in Node, with what lies beside it.
//
//     ask.mjs URL ASKED           prints each answer when it comes
//     ask.mjs URL @FILE           the same of what is asked in a file

import { readFileSync } from "node:fs";

import { answers } from "./asking.mjs";

const [url, asked] = process.argv.slice(2);
const text = asked.startsWith("@") ? readFileSync(asked.slice(1), "utf8") : asked;
for await (const answer of answers(url, text)) console.log(JSON.stringify(answer));
