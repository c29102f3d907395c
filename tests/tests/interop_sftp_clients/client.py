"""Puts the tree there with paramiko, lists it, gets it, renames it and removes it."""

import os
import stat
import sys

import paramiko

port, user, key, known_hosts = sys.argv[1:]
client = paramiko.SSHClient()
client.load_host_keys(known_hosts)
client.connect(
    "127.0.0.1",
    int(port),
    user,
    pkey=paramiko.Ed25519Key.from_private_key_file(key),
    allow_agent=False,
    look_for_keys=False,
)
sftp = client.open_sftp()


def put(here, there):
    sftp.mkdir(there)
    for name in os.listdir(here):
        if os.path.isdir(f"{here}/{name}"):
            put(f"{here}/{name}", f"{there}/{name}")
        else:
            sftp.put(f"{here}/{name}", f"{there}/{name}")


def get(there, here):
    os.mkdir(here)
    count = 0
    for entry in sftp.listdir_attr(there):
        if stat.S_ISDIR(entry.st_mode):
            count += get(f"{there}/{entry.filename}", f"{here}/{entry.filename}")
        else:
            sftp.get(f"{there}/{entry.filename}", f"{here}/{entry.filename}")
            count += 1
    return count


def remove(there):
    for entry in sftp.listdir_attr(there):
        if stat.S_ISDIR(entry.st_mode):
            remove(f"{there}/{entry.filename}")
        else:
            sftp.remove(f"{there}/{entry.filename}")
    sftp.rmdir(there)


print("paramiko", paramiko.__version__)
put("tree", "tree")
print(get("tree", "back"), "files")
sftp.rename("tree", "renamed")
assert sftp.normalize(".") == "/", sftp.normalize(".")
remove("renamed")
client.close()
