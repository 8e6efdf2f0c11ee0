"""A payments switch as the card-vault dialect's server meets it, written from the JOSE standards' own Python library.

Started as `client.py FOLDER`, where FOLDER takes the keys. Each line on standard input is an order in JSON, each line on
standard output its result:

    {"make": ["locker", "switch"]}      NAME.key (PKCS#8, mode 0600) and NAME.pub for each name
    {"url", "ca", "body", ...}          one message; what is special about it stands in the keys that `Order` reads
"""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin

import requests
from jwcrypto import jwe, jwk, jws
from jwcrypto.common import base64url_encode

FOLDER = sys.argv[1]
# A switch uses one scheme; a test that wants another one to be refused must be able to make it.
WRAPPINGS = ["RSA-OAEP-256", "RSA-OAEP", "RSA1_5", "dir", "A256KW"]


def make(name):
    key = jwk.JWK.generate(kty="RSA", size=2048)
    for end, pem in ((".key", key.export_to_pem(True, None)), (".pub", key.export_to_pem())):
        path = os.path.join(FOLDER, name + end)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(pem)


def read(name, end):
    with open(os.path.join(FOLDER, name + end), "rb") as pem:
        return jwk.JWK.from_pem(pem.read())


def signed(order):
    """The JWS of a body: three members."""
    header = order.get("jws_header", {"kid": "1", "alg": "RS256"})
    payload = json.dumps(order["body"]) if not isinstance(order["body"], str) else order["body"]
    if header["alg"] == "none":
        parts = [base64url_encode(json.dumps(header)), base64url_encode(payload), ""]
    else:
        message = jws.JWS(payload)
        message.allowed_algs = ["RS256", "PS256", "HS256"]
        if header["alg"] == "HS256":
            # The public key's text taken for a shared secret, which is what a verifier without its own mind would take.
            with open(os.path.join(FOLDER, order.get("signer", "switch") + ".pub"), "rb") as pem:
                key = jwk.JWK(kty="oct", k=base64url_encode(pem.read()))
        else:
            key = read(order.get("signer", "switch"), ".key")
        message.add_signature(key, None, json.dumps(header))
        parts = message.serialize(compact=True).split(".")
    return dict(zip(("header", "payload", "signature"), parts))


def sealed(order):
    """The JWE around it: five members."""
    header = order.get("jwe_header", {"alg": "RSA-OAEP-256", "enc": "A256GCM", "typ": "JWT"})
    inner = json.dumps(signed(order)) if "inner" not in order else order["inner"]
    if header["alg"] == "dir":
        key = jwk.JWK.generate(kty="oct", size=256)
    else:
        key = read(order.get("seal_to", "locker"), ".pub")
    message = jwe.JWE(inner, json.dumps(header), algs=WRAPPINGS + ["A256GCM", "A128GCM", "A256CBC-HS512"])
    message.add_recipient(key)
    header, key, iv, text, tag = message.serialize(compact=True).split(".")
    return {"header": header, "iv": iv, "encryptedPayload": text, "tag": tag, "encryptedKey": key}


def opened(order, text):
    """What an answer says, once it is opened and its signature verified; and whether it was sealed at all."""
    try:
        parts = json.loads(text)
    except ValueError:
        return {"sealed": False, "said": text}
    if set(parts) != {"header", "iv", "encryptedPayload", "tag", "encryptedKey"}:
        return {"sealed": False, "said": parts}
    message = jwe.JWE(algs=[order.get("answer", "RSA-OAEP-256"), "A256GCM"])
    compact = [parts[name] for name in ("header", "encryptedKey", "iv", "encryptedPayload", "tag")]
    message.deserialize(".".join(compact), read(order.get("opener", "switch"), ".key"))
    inner = json.loads(message.payload)
    assert set(inner) == {"header", "payload", "signature"}, sorted(inner)
    proof = jws.JWS()
    proof.allowed_algs = ["RS256"]
    proof.deserialize(".".join(inner[name] for name in ("header", "payload", "signature")), read("locker", ".pub"))
    return {"sealed": True, "said": json.loads(proof.payload)}


def send(order, message, line=None):
    headers = {"Content-Type": "application/json"}
    if order.get("tenant", "public") is not None:
        headers["x-tenant-id"] = order.get("tenant", "public")
    with requests.Session() as session:
        session.trust_env, session.verify = False, order["ca"]
        session.cert = tuple(order["cert"]) if "cert" in order else None
        # The connection is made before anybody waits for anybody, and made again where a busy machine took too long over
        # it: what is tried is what comes over it.
        for left in range(0 if order.get("once") else 30, -1, -1):
            try:
                session.get(urljoin(order["url"], "/health"), timeout=60)
                break
            except requests.exceptions.ConnectionError:
                if left == 0:
                    raise
        if line is not None:
            line.wait()
        answer = session.post(order["url"], data=message, headers=headers, timeout=120)
    result = {"status": answer.status_code, "headers": {k.lower(): v for k, v in answer.headers.items()}}
    return result | opened(order, answer.text)


def call(order):
    """One message, or as many as `times` says, each sealed by itself and all sent at one moment; `again` sends one twice."""
    times = order.get("times", 1)
    messages = [order["raw"] if "raw" in order else json.dumps(sealed(order)) for _ in range(times)]
    if order.get("again"):
        messages.append(messages[0])
        return [send(order, message) for message in messages]
    line = threading.Barrier(times)
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda message: send(order, message, line), messages))


for text in sys.stdin:
    order = json.loads(text)
    if "make" in order:
        result = [make(name) for name in order["make"]]
    elif order.get("plain"):
        result = [send(order, json.dumps(order["body"]))]
    else:
        try:
            result = call(order)
        except requests.exceptions.RequestException as error:
            result = [{"status": 0, "headers": {}, "sealed": False, "said": type(error).__name__}]
    print(json.dumps(result), flush=True)
