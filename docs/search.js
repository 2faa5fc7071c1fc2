// Lets the search find options and fields as they are typed. It takes a dash before a word for "without
// this word", and options begin with two of them; signs beside a word are no part of it, as in stride=2.
"use strict";
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...rest) {
  if (message && typeof message.query === "string") {
    // "at" is too common a word for the search, so --at is found by what it takes.
    const query = message.query.replace(/(^|\s)--at(?=[\s=]|$)/g, "$1ROW COL");
    const words = query.replace(/[`=,;:|/(){}[\]"]+/g, " ").replace(/(^|\s)-+/g, "$1");
    message = { ...message, query: words };
  }
  return post.call(this, message, ...rest);
};
