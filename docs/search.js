// Lets the search find options and fields as they are typed. It takes a dash before a word for "without
// this word", and options begin with two of them; signs beside a word are no part of it, as in stride=2.
"use strict";
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...rest) {
  if (message && typeof message.query === "string") {
    const words = message.query.replace(/[`=,;:|/(){}[\]"]+/g, " ").replace(/(^|\s)-+/g, "$1");
    message = { ...message, query: words };
  }
  return post.call(this, message, ...rest);
};
