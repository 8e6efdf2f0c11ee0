"""Checks a log that lies as tiles in a folder, from the C2SP texts (tlog-tiles, tlog-checkpoint, signed-note) and RFC 6962
and RFC 8032 alone: python3 log_check.py FOLDER PUBLIC_KEY. It prints the number of entries."""

import base64
import hashlib
import os
import sys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def recover_x(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - x2) % P == 0, "not a point"
    return P - x if x & 1 != sign else x


def point(encoded):
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    x = recover_x(y, sign)
    return (x, y, 1, x * y % P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, p):
    q = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            q = add(q, p)
        p = add(p, p)
        scalar >>= 1
    return q


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = point(BASE_Y.to_bytes(32, "little"))


def verify(public, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    assert s < L, "malleable"
    k = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L
    left, right = multiply(s, BASE), add(point(r), multiply(k, point(public)))
    same = (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0
    assert same, "the signature is wrong"


def leaf(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def tree(hashes):
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\1" + tree(hashes[:k]) + tree(hashes[k:])).digest()


def path(kind, number, width):
    groups = ["%03d" % (number % 1000)]
    while number >= 1000:
        number //= 1000
        groups.insert(0, "x%03d" % (number % 1000))
    return "/".join(["tile", kind] + groups) + (".p/%d" % width if width < 256 else "")


def main(folder, key):
    def read(name):
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()

    name, key_id, public = key.strip().split("+", 2)
    public = base64.b64decode(public)
    assert public[0] == 1 and hashlib.sha256(name.encode() + b"\n" + public).digest()[:4].hex() == key_id
    text, signatures = read("checkpoint").decode().rsplit("\n\n", 1)
    text += "\n"
    origin, size, root = text.splitlines()
    assert origin == name
    ours = [line.split(" ")[2] for line in signatures.splitlines() if line.startswith("\u2014 " + name + " ")]
    signature = base64.b64decode(ours[0])
    assert signature[:4].hex() == key_id
    verify(public[1:], text.encode(), signature[4:])

    size, entries = int(size), []
    for number in range((size + 255) // 256):
        width = min(256, size - number * 256)
        bundle = read(path("entries", number, width))
        for _ in range(width):
            length = int.from_bytes(bundle[:2], "big")
            entries.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
        assert bundle == b"", "more in a bundle than its entries"
    level, hashes = 0, [leaf(entry) for entry in entries]
    assert tree(hashes) == base64.b64decode(root), "the entries do not have the root that was signed"
    while hashes:
        above = []
        for number in range((len(hashes) + 255) // 256):
            part = hashes[number * 256 : number * 256 + 256]
            assert read(path(str(level), number, len(part))) == b"".join(part), "a tile of hashes is wrong"
            if len(part) == 256:
                above.append(tree(part))
        level, hashes = level + 1, above
    print(size)


main(*sys.argv[1:])
