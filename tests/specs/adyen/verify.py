"""Says whether Adyen's own package takes a notification's signature for good.

    python3 verify.py notification.json HEXADECIMAL_KEY
"""

import json
import sys

from Adyen.util import is_valid_hmac_notification

with open(sys.argv[1], encoding="utf-8") as file:
    print("valid" if is_valid_hmac_notification(json.load(file), sys.argv[2]) else "invalid")
