"""Checks a receipt offline, without Modelkeep: python3 verify.py RECEIPT VKEY [NONCES] [INPUT] [OUTPUT]

Format: docs/formats/receipt.md. Needs the package cryptography.
"""

import base64
import hashlib
import json
import re
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def check(holds, what):
    if not holds:
        raise ValueError(what)


def from_base64(text):
    data = base64.b64decode(text, validate=True)
    check(base64.b64encode(data).decode() == text, "malformed base64")
    return data


def open_checkpoint(note, vkey):
    """The checkpoint that the key signed: where it ends, all trust begins."""
    name, key_id, key = vkey.split("+", 2)
    key_id, key = bytes.fromhex(key_id), from_base64(key)
    check(len(key) == 33 and key[0] == 1, "this is not an Ed25519 verifier key")
    check(sha256(name.encode() + b"\n", key)[:4] == key_id, "the verifier key is damaged")
    text, blank, lines = note.rpartition("\n\n")
    check(blank and lines.endswith("\n"), "the checkpoint is not a signed note")
    text, own = text + "\n", []
    for line in lines[:-1].split("\n"):
        match = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
        check(match, "malformed signature line")
        signature = from_base64(match[2])
        if match[1] == name and signature[:4] == key_id:
            own.append(signature[4:])
    check(own, "the checkpoint is not signed by this key")
    for signature in own:
        Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature, text.encode())
    match = re.fullmatch(r"(.+)\n(0|[1-9][0-9]*)\n(.+)\n", text)
    check(match and match[1] == name, "the checkpoint is of another log")
    return int(match[2]), from_base64(match[3])


def root_from(index, size, digest, hashes):
    """The root that a proof leads to, from the leaf upwards (RFC 9162, 2.1.3.2)."""
    check(index < size, "the entry is not under the checkpoint")
    at, last = index, size - 1
    for sibling in hashes:
        check(last > 0, "the proof is too long")
        if at & 1 or at == last:
            digest = sha256(b"\x01", sibling, digest)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            digest = sha256(b"\x01", digest, sibling)
        at, last = at >> 1, last >> 1
    check(last == 0, "the proof is too short")
    return digest


def verify_receipt(receipt, vkey, nonces, bodies):
    head, _, note = receipt.partition("\n\n")
    magic, extra, index, *hashes = head.split("\n")
    check(magic == "c2sp.org/tlog-proof@v1" and extra.startswith("extra "), "this is not a receipt")
    check(re.fullmatch("index (0|[1-9][0-9]{0,15})", index), "the index is malformed")
    hashes = [from_base64(each) for each in hashes]
    check(all(len(each) == 32 for each in hashes), "a hash has the wrong length")
    held = json.loads(from_base64(extra[6:]).decode())
    size, root = open_checkpoint(note, vkey)
    leaf = sha256(b"\x00", held["entry"].encode())
    check(root_from(int(index[6:]), size, leaf, hashes) == root, "the entry is not in the log that was signed")
    entry = json.loads(held["entry"])
    for name, nonce, body in zip(("input", "output"), nonces, bodies):
        if body is not None:
            nonce = from_base64(nonce or held.get("nonces", {}).get(name, ""))
            check(len(nonce) == 16, "there is no nonce, or it is not 16 bytes")
            check(sha256(nonce, body).hex() == entry.get(name), f"this is not the {name}")
    return entry


if __name__ == "__main__":
    receipt_file, vkey, nonces, *body_files = (sys.argv[1:] + ["", "", ""])[:5]
    try:
        bodies = [open(file, "rb").read() if file else None for file in body_files]
        receipt = open(receipt_file, "rb").read().decode()
        print(json.dumps(verify_receipt(receipt, vkey.strip(), (nonces or "").split(",") + [""], bodies)))
    except Exception as error:
        sys.exit(f"refused: {error!r}")
