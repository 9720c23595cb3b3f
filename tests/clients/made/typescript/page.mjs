// The same in a browser. The query of the page says what to ask, and by which protocol; each answer is told to where the page is
// from, with the name of the browser.
//
//     ?url=URL&asked=ASKED&by=connect|grpc-web      without `asked` what lies beside the page is asked

import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { answers } from "./asking.mjs";

async function tell(what) {
  const body = JSON.stringify({ browser: navigator.userAgent, ...what });
  await fetch("/told", { method: "POST", body });
}

try {
  const { url, asked, by } = Object.fromEntries(new URLSearchParams(location.search));
  const settings = by === "grpc-web" ? { transport: createGrpcWebTransport({ baseUrl: url }) } : {};
  const text = asked ?? (await (await fetch("/questions")).text());
  for await (const answer of answers(url, text, settings)) await tell({ answers: answer });
} catch (error) {
  await tell({ failed: String(error?.stack ?? error) });
}
