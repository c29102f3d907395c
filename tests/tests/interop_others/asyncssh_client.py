"""Clients of AsyncSSH that offer all it has: asyncssh_client.py USER SECRET KNOWN_HOSTS PORT...

SECRET is a key file, or password:PASSWORD. Each client sends its input through `cat` on the server,
checks what comes back and that it gets an exit status. Prints its version, and then a line for each
port: the port, and `ok` or what went wrong.
"""

import asyncio
import sys

import asyncssh
from algorithms import ALL

user, secret, known_hosts, *ports = sys.argv[1:]
sent = sys.stdin.buffer.read()


async def exercise(port):
    password = secret.removeprefix("password:")
    how = {"password": password} if password != secret else {"client_keys": [secret]}
    async with asyncssh.connect(
        "127.0.0.1",
        port,
        username=user,
        known_hosts=known_hosts,
        server_host_key_algs=ALL["signature_algs"],
        agent_path=None,
        config=None,
        encoding=None,
        **how,
        **ALL,
    ) as connection:
        done = await connection.run("cat; echo oops >&2; exit 3", input=sent)
        assert done.stdout == sent, f"{len(done.stdout)} other bytes came back"
        assert done.stderr == b"oops\n", done.stderr
        assert done.exit_status == 3, done.exit_status


async def main():
    print(asyncssh.__version__)
    for port in ports:
        try:
            await asyncio.wait_for(exercise(int(port)), 30)
            print(port, "ok")
        except Exception as error:
            print(port, type(error).__name__, error)


asyncio.run(main())
