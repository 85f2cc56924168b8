// Has the emulator listen on loopback alone, on a free port, and say which: by itself it takes a
// port that it is given, on every address of the machine.
"use strict";

const net = require("node:net");

const { listen } = net.Server.prototype;

net.Server.prototype.listen = function listenOnLoopback() {
  this.once("listening", () => {
    const { address, port } = this.address();
    console.log(`listening on ${address}:${port}`);
  });
  return listen.call(this, 0, "127.0.0.1");
};
