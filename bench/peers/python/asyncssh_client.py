"""What `cargo xtask bench` has AsyncSSH do. The command line is in bench/src/peers/library.rs."""

import asyncio
import os
import sys

import asyncssh

PIECE = 256 * 1024


def connect(port, user, key):
    return asyncssh.connect(
        "127.0.0.1", port, username=user, client_keys=[key], known_hosts=None, config=None
    )


async def run(connection, command):
    return await connection.run(command, check=True, encoding=None, stdin=asyncssh.DEVNULL)


async def send(connection, command, path):
    process = await connection.create_process(command, encoding=None)
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            process.stdin.write(piece)
            await process.stdin.drain()
    process.stdin.write_eof()
    await process.wait(check=True)


def resident():
    with open("/proc/self/status") as status:
        return next(line.split()[1] for line in status if line.startswith("VmRSS:"))


async def main(port, user, key, work, *rest):
    place = (int(port), user, key)
    if work == "fresh":
        for _ in range(int(rest[0])):
            async with connect(*place) as connection:
                await run(connection, "true")
        return
    if work == "idle":
        held = [await connect(*place) for _ in range(int(rest[0]))]
        await asyncio.sleep(1)
        print(resident(), flush=True)
        os._exit(0 if held else 1)
    async with connect(*place) as connection:
        if work in ("get", "put", "get-many", "put-many"):
            async with connection.start_sftp_client() as sftp:
                move = sftp.get if work.startswith("get") else sftp.put
                await move(*rest, recurse=work.endswith("many"))
        elif work == "exec-out":
            process = await connection.create_process(rest[0], encoding=None)
            while await process.stdout.read(PIECE):
                pass
            await process.wait(check=True)
        elif work == "exec-in":
            await send(connection, *rest)
        elif work == "sequential":
            for _ in range(int(rest[0])):
                await run(connection, "true")
        elif work == "at-once":
            await asyncio.gather(*(run(connection, "true") for _ in range(int(rest[0]))))
        elif work == "first-byte":
            print((await run(connection, "echo x")).stdout.decode(), end="", flush=True)
        else:
            sys.exit("unknown work")


asyncio.run(main(*sys.argv[1:]))
