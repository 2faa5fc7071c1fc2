"use strict";
// Opens a page: inflates its data, style, elements and scripts, puts style and elements in their place, and runs
// the scripts in their order. The page's policy names the hash of the style and of each script.

/** What the page shows, see cnncli/explain/page. */
let pageData = null;

async function unpackPage() {
  const holder = document.getElementById("packed");
  const bytes = bytesOf(holder.textContent, Number(holder.dataset.bytes));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const { data, style, body, scripts } = readPacked(new Uint8Array(await new Response(stream).arrayBuffer()));
  holder.remove();
  pageData = data;
  const same = (text) => text;
  const policy = window.trustedTypes?.createPolicy("cnncli-unpack", { createHTML: same, createScript: same });
  const sheet = document.createElement("style");
  sheet.textContent = style;
  document.head.append(sheet);
  const elements = new DOMParser().parseFromString(policy ? policy.createHTML(body) : body, "text/html");
  document.body.prepend(...elements.body.childNodes);
  for (const { text, worker } of scripts) {
    const script = document.createElement("script");
    script.toggleAttribute("data-worker", worker);
    script.textContent = policy ? policy.createScript(text) : text;
    document.body.append(script);
  }
}

/** Say why there is no page. */
function showProblem(text) {
  const problem = document.getElementById("unreadable");
  problem.textContent = text;
  problem.hidden = false;
}

if (window.DecompressionStream) {
  unpackPage().catch((error) => {
    showProblem("This page cannot be opened: its file was cut off, or changed.");
    throw error;
  });
} else showProblem("This browser cannot open the page: it needs one of 2023 or later.");
