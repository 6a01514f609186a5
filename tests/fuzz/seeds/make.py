#!/usr/bin/env python3
"""Writes the seeds: sealed files made from the format's description in src/crypto/file/mod.rs,
with Python's `cryptography` and none of our code. The seeds are frozen: a file that was written
once must open for good, so never run this to replace one, only to add one."""

import pathlib
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = 32768
SCOPE = b"tenant-a"
DEK = bytes([7]) * 32
FOLDER = pathlib.Path(__file__).parent / "sealed_file"


def hkdf(key, info):
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(key)


def header(format, file_id):
    fixed = b"CAIRNSF1" + struct.pack("<HHII", format, 2, 3, CHUNK)
    return (fixed + file_id).ljust(64, b"\0")


def chunks(content):
    return [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)] or [b""]


def seal(content, file_id):
    head = header(1, file_id)
    length = struct.pack("<Q", len(SCOPE))
    subkey = hkdf(DEK, b"cairn subkey 1\0" + length + SCOPE + b"blobs")
    cipher = AESGCM(hkdf(subkey, b"cairn file 1\0" + length + SCOPE + file_id))
    sealed, parts = head, chunks(content)
    for number, part in enumerate(parts):
        place = struct.pack("<Q", number)
        last = bytes([number + 1 == len(parts)])
        sealed += cipher.encrypt(place + bytes(4), part, head + place + last)
    return sealed


def pass_through(content, file_id):
    body = b"".join(part + bytes(16) for part in chunks(content))
    return header(0xFFFF, file_id) + body


def main():
    FOLDER.mkdir(exist_ok=True)
    contents = {
        "empty": b"",
        "short": b"a short file",
        "two_chunks": bytes(at % 251 for at in range(CHUNK + 5)),
    }
    for number, (name, content) in enumerate(contents.items()):
        file_id = bytes(range(16 * number, 16 * number + 16))
        for kind, make in [("", seal), ("pass_through_", pass_through)]:
            path = FOLDER / (kind + name)
            if not path.exists():
                path.write_bytes(make(content, file_id))


main()
