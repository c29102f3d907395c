"""A server of AsyncSSH that offers all it has: asyncssh_server.py USER PASSWORD AUTHORIZED KEY...

Runs commands by /bin/sh. Prints its version and then its port.
"""

import asyncio
import sys

import asyncssh
from algorithms import ALL

user, password, authorized, *keys = sys.argv[1:]


class Login(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, given):
        return (username, given) == (user, password)


async def run(process):
    shell = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        process.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await process.redirect(stdin=shell.stdin, stdout=shell.stdout, stderr=shell.stderr)
    status = await shell.wait()
    await process.stdout.drain()
    process.exit(status)


async def main():
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Login,
        process_factory=run,
        server_host_keys=keys,
        authorized_client_keys=authorized,
        encoding=None,
        **ALL,
    )
    print(asyncssh.__version__, flush=True)
    print(server.get_port(), flush=True)
    await server.wait_closed()


asyncio.run(main())
