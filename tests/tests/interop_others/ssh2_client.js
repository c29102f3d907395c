// Clients of ssh2 that offer all it has: ssh2_client.js LIBRARY USER SECRET KNOWN_HOSTS PORT...
//
// The command line and the output are those of asyncssh_client.py.
'use strict';

const { readFileSync } = require('fs');

const [library, user, secret, knownHosts, ...ports] = process.argv.slice(2);
const { Client } = require(library);
const constants = require(`${library}/lib/protocol/constants`);

const known = readFileSync(knownHosts, 'utf8').split('\n').map((line) => line.split(' ')[2]);
const sent = readFileSync(0);
const algorithms = {
  kex: constants.SUPPORTED_KEX,
  serverHostKey: constants.SUPPORTED_SERVER_HOST_KEY,
  cipher: constants.SUPPORTED_CIPHER,
  hmac: constants.SUPPORTED_MAC,
  compress: ['none', 'zlib@openssh.com'],
};
const how = secret.startsWith('password:')
  ? { password: secret.slice('password:'.length) }
  : { privateKey: readFileSync(secret) };

function exercise(port) {
  return new Promise((resolve, reject) => {
    const client = new Client();
    client.on('error', reject);
    client.on('close', () => reject(new Error('the connection was closed')));
    client.on('ready', () => {
      client.exec('cat; echo oops >&2; exit 3', (error, channel) => {
        if (error) return reject(error);
        const [stdout, stderr] = [[], []];
        channel.on('data', (data) => stdout.push(data));
        channel.stderr.on('data', (data) => stderr.push(data));
        channel.on('close', (status) => {
          const [out, err] = [Buffer.concat(stdout), Buffer.concat(stderr).toString()];
          if (!out.equals(sent)) reject(new Error(`${out.length} other bytes came back`));
          else if (err !== 'oops\n' || status !== 3) reject(new Error(`${status} ${err}`));
          else resolve();
          client.end();
        });
        channel.end(sent);
      });
    });
    client.connect({
      host: '127.0.0.1',
      port: Number(port),
      username: user,
      algorithms,
      hostVerifier: (key) => known.includes(key.toString('base64')),
      readyTimeout: 30000,
      ...how,
    });
  });
}

(async () => {
  console.log(require(`${library}/package.json`).version);
  for (const port of ports) {
    await exercise(port).then(
      () => console.log(port, 'ok'),
      (error) => console.log(port, error.message),
    );
  }
})();
