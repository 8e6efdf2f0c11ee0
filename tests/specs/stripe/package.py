"""Stripe's own Python package as a judge. Reads one JSON question from standard input and prints one JSON answer.

    {"ask": "verify", "body": ..., "header": ..., "secret": ...}   -> true or false (the signature, and its age)
    {"ask": "sign", "body": ..., "secret": ...}                    -> the header
    {"ask": "parameter", "module": ..., "class": ..., "name": ...} -> how the package types the parameter, or null
"""

import importlib
import json
import sys

from stripe import SignatureVerificationError, WebhookSignature

question = json.load(sys.stdin)
if question["ask"] == "verify":
    try:
        answer = WebhookSignature.verify_header(question["body"], question["header"], question["secret"], tolerance=300)
    except SignatureVerificationError:
        answer = False
elif question["ask"] == "sign":
    answer = WebhookSignature.generate_signature_header(question["body"], question["secret"])
else:
    names = getattr(importlib.import_module("stripe.params." + question["module"]), question["class"]).__annotations__
    answer = str(names[question["name"]]) if question["name"] in names else None
json.dump(answer, sys.stdout)
