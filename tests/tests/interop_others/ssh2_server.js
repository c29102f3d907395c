// A server of ssh2 that offers all it has: ssh2_server.js LIBRARY USER PASSWORD AUTHORIZED KEY...
//
// Runs commands by /bin/sh. Prints its version and then its port.
'use strict';

const { spawn } = require('child_process');
const { readFileSync } = require('fs');

const [library, user, password, authorized, ...keys] = process.argv.slice(2);
const { Server, utils } = require(library);
const constants = require(`${library}/lib/protocol/constants`);

const allowed = readFileSync(authorized, 'utf8')
  .split('\n')
  .map((line) => utils.parseKey(line))
  .filter((key) => !(key instanceof Error));

function login(context) {
  if (context.username !== user) return context.reject();
  if (context.method === 'password') {
    return context.password === password ? context.accept() : context.reject();
  }
  if (context.method !== 'publickey') return context.reject(['publickey', 'password']);
  const key = allowed.find((key) => key.getPublicSSH().equals(context.key.data));
  if (!key) return context.reject();
  if (!context.signature) return context.accept();
  const right = key.verify(context.blob, context.signature, context.hashAlgo);
  return right === true ? context.accept() : context.reject();
}

function run(accept, reject, info) {
  const channel = accept();
  const shell = spawn('/bin/sh', ['-c', info.command]);
  channel.pipe(shell.stdin);
  shell.stdin.on('error', () => {});
  shell.stdout.pipe(channel, { end: false });
  shell.stderr.pipe(channel.stderr, { end: false });
  shell.on('close', (status) => {
    channel.exit(status);
    channel.end();
  });
}

const algorithms = {
  kex: constants.SUPPORTED_KEX,
  serverHostKey: constants.SUPPORTED_SERVER_HOST_KEY,
  cipher: constants.SUPPORTED_CIPHER,
  hmac: constants.SUPPORTED_MAC,
  compress: constants.SUPPORTED_COMPRESSION,
};
const options = { hostKeys: keys.map((key) => readFileSync(key)), algorithms };
const server = new Server(options, (client) => {
  client.on('authentication', login);
  client.on('session', (accept) => accept().on('exec', run));
  client.on('error', (error) => console.error(error.message));
});
server.listen(0, '127.0.0.1', () => {
  console.log(require(`${library}/package.json`).version);
  console.log(server.address().port);
});
