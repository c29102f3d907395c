"""Everything that AsyncSSH has, weak or not, but what needs Kerberos."""

from asyncssh import encryption, kex, mac, public_key


def names(algorithms):
    return [name.decode() for name in algorithms]


ALL = {
    "kex_algs": [name for name in names(kex.get_kex_algs()) if not name.startswith("gss-")],
    "encryption_algs": names(encryption.get_encryption_algs()),
    "mac_algs": names(mac.get_mac_algs()),
    "signature_algs": names(public_key.get_public_key_algs()),
    "compression_algs": ["none", "zlib@openssh.com"],
    # Often enough for several new keys in a test.
    "rekey_bytes": 64 * 1024,
}
