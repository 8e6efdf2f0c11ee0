"""Signs a notification with Adyen's own package and prints it.

    python3 sign.py notification.json HEXADECIMAL_KEY
"""

import json
import sys

from Adyen.util import generate_notification_sig

with open(sys.argv[1], encoding="utf-8") as file:
    body = json.load(file)
for wrapped in body["notificationItems"]:
    item = wrapped["NotificationRequestItem"]
    signature = generate_notification_sig(item, sys.argv[2]).decode()
    item.setdefault("additionalData", {})["hmacSignature"] = signature
print(json.dumps(body))
