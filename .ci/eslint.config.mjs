// The rules for the JavaScript of the pages (cnncli/explain/web) and of the documentation (docs).
import { readFileSync, readdirSync } from "node:fs";
import js from "@eslint/js";

const WEB = "cnncli/explain/web";
const NAMES = /^(?:async )?(?:const|let|class|function) (\w+)/gm;

/** What the outermost scope of each script of the pages declares. */
const declared = new Map(
  readdirSync(WEB, { recursive: true })
    .filter((name) => name.endsWith(".js"))
    .map((name) => {
      const text = readFileSync(`${WEB}/${name}`, "utf-8");
      return [`${WEB}/${name}`, Array.from(text.matchAll(NAMES), (match) => match[1])];
    }),
);

const readonly = (names) => Object.fromEntries(names.map((name) => [name, "readonly"]));

/** All of the browser that the scripts may use. */
const BROWSER = readonly([
  "Blob", "DOMParser", "DecompressionStream", "IntersectionObserver", "ResizeObserver", "Response", "TextDecoder", "URL", "Worker",
  "cancelAnimationFrame", "clearInterval", "clearTimeout", "createImageBitmap", "devicePixelRatio", "document",
  "getComputedStyle", "history", "innerHeight", "innerWidth", "localStorage", "location", "matchMedia", "navigator", "performance",
  "requestAnimationFrame", "scrollTo", "self", "setInterval", "setTimeout", "window",
]);

/** Scripts that compute have nothing of the browser, but what a comment of theirs names. */
const NO_PAGE =
  /((^|\/)arithmetic\/\w+|learning\/gradient_descent|page\/packed|pictures\/pixels|network\/(backward|description|forward|layout|links|moved_values|norms|over_axes|receptive_fields|reductions|score_differences|unit_values|windows)|playground\/(commands|stack)|quiz\/(network|questions|window))\.js$/;
const hasNoPage = (file) => NO_PAGE.test(file);

/** The scripts of a page share one scope: each may use what the others declare. */
const pages = Array.from(declared.keys(), (file) => {
  const others = Array.from(declared.keys()).filter((other) => other !== file);
  const shared = readonly(others.flatMap((other) => declared.get(other)));
  const own = new Set(declared.get(file));
  const globals = Object.fromEntries(Object.entries(shared).filter(([name]) => !own.has(name)));
  return {
    files: [file],
    languageOptions: { globals: hasNoPage(file) ? globals : { ...BROWSER, ...globals } },
  };
});

export default [
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2022, sourceType: "script" },
    rules: {
      "consistent-return": "error",
      "default-case": "error",
      eqeqeq: "error",
      "max-lines": ["error", 500],
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-param-reassign": "error",
      "no-return-assign": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { vars: "local" }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      strict: ["error", "global"],
    },
  },
  { files: ["docs/*.js"], languageOptions: { globals: BROWSER } },
  ...pages,
];
