// Lets the search find options and fields as they are typed. It takes a dash before a word for "without
// this word", and options begin with two of them; signs beside a word are no part of it, as in stride=2.
"use strict";
const QUERY = 2;
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...rest) {
  let asked = message;
  if (message && message.type === QUERY && typeof message.data === "string") {
    // "at" is too common a word for the search, so --at is found by what it takes.
    const query = message.data.replace(/(^|\s)--at(?=[\s=]|$)/g, "$1ROW COL");
    const words = query.replace(/[`=,;:|/(){}[\]"]+/g, " ").replace(/(^|\s)-+/g, "$1");
    // The search breaks off at some numbers, as its index confuses them; words alone find the page too.
    const named = words.replace(/(^|\s)\d+(?=\s|$)/g, "$1").trim();
    asked = { ...message, data: named || words };
  }
  return post.call(this, asked, ...rest);
};
