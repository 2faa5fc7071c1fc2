"use strict";
// Unpacks a page that is deflated: puts its style and data in their places, and runs the scripts in
// their order. The page's policy names the hash of each.

async function unpackPage() {
  const bytes = Uint8Array.from(atob(document.getElementById("packed").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const { data, style, scripts } = await new Response(stream).json();
  const policy = window.trustedTypes?.createPolicy("cnncli-unpack", { createScript: (text) => text });
  const trusted = (text) => (policy ? policy.createScript(text) : text);
  const sheet = document.createElement("style");
  sheet.textContent = style;
  document.head.append(sheet);
  document.getElementById("page-data").textContent = trusted(JSON.stringify(data));
  for (const { text, worker } of scripts) {
    const script = document.createElement("script");
    script.toggleAttribute("data-worker", worker);
    script.textContent = trusted(text);
    document.body.append(script);
  }
}

unpackPage();
