"""Takes out of Worldpay's Card Payments document (OpenAPI 3.0, YAML) what the tests of this folder need of it.

    python3 tests/specs/extract_worldpay.py worldpay-card-payments.yaml tests/specs/worldpay/card_payments.json

Kept are the calls of the connector, of a payment those parts that it sends, and the answers. Besides,
- patterns that can match nothing are mended (`MENDED`): the document has a few, such as `^[A-Z]$` for three letters;
- choices by inheritance are joined into one object, and objects of requests are closed, so that a misspelled member is
  noticed;
- answers that differ by their outcome are `anyOf`: their members overlap.
Needs PyYAML.
"""

import json
import sys

import yaml

CALLS = [
    "/cardPayments/customerInitiatedTransactions",
    "/cardPayments/merchantInitiatedTransactions",
    "/payments/settlements/{linkData}",
    "/payments/settlements/partials/{linkData}",
    "/payments/settlements/refunds/full/{linkData}",
    "/payments/settlements/refunds/partials/{linkData}",
    "/payments/authorizations/cancellations/{linkData}",
    "/payments/authorizations/incrementalAuthorizations/{linkData}",
    "/payments/sales/reversals/{linkData}",
    "/payments/events/{linkData}",
    "/payments/events",
]

# Parts of a request that the connector never sends.
UNSENT = {
    "authentication", "consumerBillPayment", "convenienceAmount", "debtRepayment", "exemption", "fastRefund",
    "fundsTransfer", "industryData", "mcc", "order", "paymentFacilitator", "recipient", "requestAccountUpdater",
    "riskProfile", "routing", "shipping", "surchargeAmount", "taxReference", "marketplace",
}

# Alternatives that the connector never sends.
UNSENT_SCHEMAS = {
    "card_token", "card_token_mit", "card_networkToken", "card_checkout", "card_wallet_applepay",
    "card_wallet_googlepay", "card_networkToken_applepay", "card_networkToken_googlepay", "mit_reauthorization",
    "mit_noShow", "mit_delayedCharge",
}

MENDED = {
    "^[A-Z]$": "^[A-Z]{3}$",
    "^[a-zA-Z0-9 _!@#$%()*=.:;?[]{}~/+-,`^&]*$": "^[a-zA-Z0-9 _!@#$%()*=.:;?\\[\\]{}~/+\\-,`^&]*$",
}

class Document:
    def __init__(self, whole):
        self.whole = whole

    def schema(self, value, is_request):
        """The schema without references and idle words."""
        if "$ref" in value:
            return self.schema(self.whole["components"]["schemas"][value["$ref"].rsplit("/", 1)[1]], is_request)
        made = {key: value[key] for key in ("type", "enum", "minLength", "maxLength", "required") if key in value}
        if "pattern" in value and value.get("type") == "string":
            made["pattern"] = MENDED.get(value["pattern"], value["pattern"])
        if "items" in value:
            made["items"] = self.schema(value["items"], is_request)
        if "oneOf" in value:
            names = [one for one in value["oneOf"] if one["$ref"].rsplit("/", 1)[1] not in UNSENT_SCHEMAS]
            made["oneOf" if is_request else "anyOf"] = [self.schema(one, is_request) for one in names]
        properties = {}
        for part in value.get("allOf", []):
            joined = self.schema(part, is_request)
            properties.update(joined.get("properties", {}))
            made["required"] = made.get("required", []) + joined.get("required", [])
            made["type"] = "object"
        for name, inner in value.get("properties", {}).items():
            if not (is_request and name in UNSENT):
                properties[name] = self.schema(inner, is_request)
        if properties:
            made["properties"] = properties
            if is_request:
                made["additionalProperties"] = False
        return made

    def operation(self, path):
        ((verb, found),) = self.whole["paths"][path].items()
        made = {"responses": {}}
        for content in found.get("requestBody", {}).get("content", {}).values():
            made["requestBody"] = self.schema(content["schema"], True)
        for status, answer in found["responses"].items():
            for content in answer["content"].values():
                made["responses"][status] = self.schema(content["schema"], False)
        return {verb: made}


def main(source, target):
    with open(source, encoding="utf-8") as file:
        document = Document(yaml.safe_load(file))
    kept = {
        "title": document.whole["info"]["title"],
        "version": document.whole["info"]["version"],
        "paths": {path: document.operation(path) for path in CALLS},
    }
    named(document.whole, kept)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1, ensure_ascii=False)
        file.write("\n")


def named(whole, kept):
    """Agreements name themselves in `type`, which the document says in the discriminator alone."""
    for path, schema in [
        ("customer", "customerInitiatedTransaction"),
        ("merchant", "merchantInitiatedTransaction"),
    ]:
        agreement = whole["components"]["schemas"][schema]["properties"]["instruction"]["properties"]["customerAgreement"]
        words = {ref.rsplit("/", 1)[1]: word for word, ref in agreement["discriminator"]["mapping"].items()}
        kinds = [one["$ref"].rsplit("/", 1)[1] for one in agreement["oneOf"]]
        kinds = [kind for kind in kinds if kind not in UNSENT_SCHEMAS]
        body = kept["paths"][f"/cardPayments/{path}InitiatedTransactions"]["post"]["requestBody"]
        alternatives = body["properties"]["instruction"]["properties"]["customerAgreement"]["oneOf"]
        for kind, alternative in zip(kinds, alternatives, strict=True):
            alternative["properties"]["type"]["enum"] = [words[kind]]


if __name__ == "__main__":
    main(*sys.argv[1:])
