"""What `cargo xtask bench` has paramiko do. The command line is in bench/src/peers/library.rs."""

import os
import sys

import paramiko

PIECE = 256 * 1024


def connect(port, user, key):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(
        "127.0.0.1", port, user, key_filename=key, allow_agent=False, look_for_keys=False
    )
    client.get_transport().sock.setsockopt(6, 1, 1)  # TCP_NODELAY
    return client


def run(client, command):
    _, stdout, _ = client.exec_command(command)
    output = stdout.read()
    if stdout.channel.recv_exit_status() != 0:
        sys.exit(command)
    return output


def main(port, user, key, work, *rest):
    place = (int(port), user, key)
    if work == "fresh":
        for _ in range(int(rest[0])):
            with connect(*place) as client:
                run(client, "true")
        return
    with connect(*place) as client:
        if work == "get":
            client.open_sftp().get(*rest)
        elif work == "put":
            client.open_sftp().put(*rest, confirm=False)
        elif work == "get-many":
            sftp = client.open_sftp()
            os.mkdir(rest[1])
            for name in sftp.listdir(rest[0]):
                sftp.get(f"{rest[0]}/{name}", f"{rest[1]}/{name}")
        elif work == "put-many":
            sftp = client.open_sftp()
            sftp.mkdir(rest[1])
            for name in os.listdir(rest[0]):
                sftp.put(f"{rest[0]}/{name}", f"{rest[1]}/{name}", confirm=False)
        elif work == "exec-out":
            _, stdout, _ = client.exec_command(rest[0])
            while stdout.channel.recv(PIECE):
                pass
        elif work == "exec-in":
            stdin, stdout, _ = client.exec_command(rest[0])
            with open(rest[1], "rb") as file:
                while piece := file.read(PIECE):
                    stdin.channel.sendall(piece)
            stdin.channel.shutdown_write()
            stdout.channel.recv_exit_status()
        elif work == "sequential":
            for _ in range(int(rest[0])):
                run(client, "true")
        elif work == "first-byte":
            print(run(client, "echo x").decode(), end="", flush=True)
        else:
            sys.exit("unknown work")


main(*sys.argv[1:])
