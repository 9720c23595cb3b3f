// The same in a browser. The query of the page says what to ask, and by which protocol; what came of it is told to where the
// page is from, with the name of the browser.
//
//     ?url=URL&asked=QUESTION&by=connect|grpc-web
//     ?url=URL&asked=one&by=connect|grpc-web
//     ?url=URL&asked=watch&by=connect|grpc-web       the views in two replies, each told when it comes

import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { everything, one, views } from "./asking.mjs";

async function* answers({ url, asked, by }) {
  const settings = by === "grpc-web" ? { transport: createGrpcWebTransport({ baseUrl: url }) } : {};
  if (asked === "watch") yield* views(url, settings);
  else yield asked === "one" ? await one(url, settings) : await everything(url, JSON.parse(asked), settings);
}

async function tell(what) {
  const body = JSON.stringify({ browser: navigator.userAgent, ...what });
  await fetch("/told", { method: "POST", body });
}

try {
  for await (const answer of answers(Object.fromEntries(new URLSearchParams(location.search)))) await tell({ answers: answer });
} catch (error) {
  await tell({ failed: String(error?.stack ?? error) });
}
