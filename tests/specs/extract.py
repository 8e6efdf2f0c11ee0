"""Takes out of a provider's published OpenAPI document what the tests of this folder need of it.

    python3 tests/specs/extract.py adyen-checkout CheckoutService-v71.json tests/specs/adyen/checkout.json
    python3 tests/specs/extract.py adyen-webhooks Webhooks-v1.json tests/specs/adyen/webhooks.json
    python3 tests/specs/extract.py stripe-api spec3.json tests/specs/stripe/requests.json
    python3 tests/specs/extract.py invoices processout-openapi.json tests/specs/invoices/answers.json

Of Stripe's document, whose answers refer to most of it, requests alone are kept, and of a card payment's options those for cards.

Of the document that the invoices' door answers by, answers alone are kept. Its alternatives are made from examples and exclude
nothing, so that most answers fit several: of `oneOf` it is asked that one fits at least (`anyOf`).

Kept are the paths that the connectors call and every schema that these refer to; left out is what no validation needs
(descriptions, examples, extensions), so that the files stay small enough to be read. Nothing is changed otherwise, but for
choices between many alternatives (`ONLY`), of which those remain that the connectors use.
"""

import json
import sys

PATHS = {
    "adyen-checkout": [
        "/payments",
        "/payments/details",
        "/payments/{paymentPspReference}/captures",
        "/payments/{paymentPspReference}/cancels",
        "/payments/{paymentPspReference}/refunds",
        "/payments/{paymentPspReference}/amountUpdates",
        "/cancels",
    ],
    "adyen-webhooks": [
        "/AUTHORISATION",
        "/AUTHORISATION_ADJUSTMENT",
        "/CANCELLATION",
        "/CAPTURE",
        "/CHARGEBACK",
        "/REFUND",
        "/REFUND_FAILED",
        "/TECHNICAL_CANCEL",
    ],
    "invoices": [
        "/cards",
        "/customers",
        "/customers/{customer_id}/tokens",
        "/customers/{customer_id}/tokens/{token_id}",
        "/events/{event_id}",
        "/invoices",
        "/invoices/{invoice_id}",
        "/invoices/{invoice_id}/authorize",
        "/invoices/{invoice_id}/capture",
        "/invoices/{invoice_id}/increment_authorization",
        "/invoices/{invoice_id}/refunds",
        "/transactions/{transaction_id}",
    ],
    "stripe-api": [
        "/v1/payment_methods",
        "/v1/payment_intents",
        "/v1/payment_intents/{intent}",
        "/v1/payment_intents/{intent}/capture",
        "/v1/payment_intents/{intent}/cancel",
        "/v1/payment_intents/{intent}/increment_authorization",
        "/v1/setup_intents",
        "/v1/setup_intents/{intent}",
        "/v1/setup_intents/{intent}/cancel",
        "/v1/refunds",
        "/v1/refunds/{refund}",
    ],
}

# (schema, property): the alternatives that remain of its `oneOf`.
ONLY = {
    ("PaymentRequest", "paymentMethod"): ["CardDetails"],
    ("PaymentResponse", "action"): ["CheckoutRedirectAction", "CheckoutThreeDS2Action"],
}

# Words of an OpenAPI document that no validation needs. A name of a property is never one of these.
IDLE = {"description", "summary", "example", "examples", "tags", "operationId", "title", "externalDocs", "deprecated"}


def bare(value, names=False):
    """The value without idle words; `names`: its keys are names that somebody chose."""
    if isinstance(value, list):
        return [bare(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, inner in value.items():
        if not names and (key in IDLE or key.startswith("x-")):
            continue
        kept[key] = bare(inner, names=not names and key in ("properties", "schemas", "responses", "headers", "parameters"))
    return kept


# Of Stripe's requests: the properties that remain where there are some for each method of payment.
CARDS = {
    "payment_method_options": {"card"},
    "payment_method_data": set(),
    "mandate_data": set(),
}
CARD_METHOD = {"billing_details", "card", "customer", "expand", "metadata", "payment_method", "type"}


def requests_alone(path, operations):
    """Stripe's operations without their answers, and without what other methods of payment have."""
    kept = {}
    for verb, operation in operations.items():
        if verb not in ("get", "post"):
            continue
        kept[verb] = {"parameters": operation.get("parameters", [])}
        form = operation.get("requestBody", {}).get("content", {}).get("application/x-www-form-urlencoded")
        if verb == "get" or form is None:
            continue
        properties = form["schema"]["properties"]
        for name, wanted in CARDS.items():
            inner = properties.get(name, {}).get("properties")
            if inner is None:
                continue
            if wanted:
                properties[name]["properties"] = {key: value for key, value in inner.items() if key in wanted}
            else:
                del properties[name]
        if path == "/v1/payment_methods":
            form["schema"]["properties"] = {key: value for key, value in properties.items() if key in CARD_METHOD}
        kept[verb]["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": form["schema"]}}}
    return kept


def answers_alone(operations):
    """The schemas of answers."""
    kept = {}
    for verb, operation in operations.items():
        if verb not in ("delete", "get", "post", "put"):
            continue
        kept[verb] = {"responses": {}}
        for status, answer in operation["responses"].items():
            schema = answer["content"]["application/json"]["schema"]
            kept[verb]["responses"][status] = {"content": {"application/json": {"schema": any_fits(schema)}}}
    return kept


def any_fits(schema):
    if isinstance(schema, list):
        return [any_fits(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {"anyOf" if key == "oneOf" else key: any_fits(inner) for key, inner in schema.items() if key != "default"}


def references(value, found):
    if isinstance(value, list):
        for item in value:
            references(item, found)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                found.append(inner)
            else:
                references(inner, found)


def main(kind, source, target):
    with open(source, encoding="utf-8") as file:
        whole = json.load(file)
    holder = "paths" if "paths" in whole else "webhooks"
    operations = {path: bare(whole[holder][path]) for path in PATHS[kind]}
    if kind == "stripe-api":
        operations = {path: requests_alone(path, inside) for path, inside in operations.items()}
    if kind == "invoices":
        operations = {path: answers_alone(inside) for path, inside in operations.items()}
    for (schema, name), alternatives in ONLY.items():
        place = whole["components"]["schemas"].get(schema, {}).get("properties", {}).get(name)
        if place is not None:
            wanted = [f"#/components/schemas/{alternative}" for alternative in alternatives]
            place["oneOf"] = [one for one in place["oneOf"] if one["$ref"] in wanted]
            assert len(place["oneOf"]) == len(wanted), f"{schema}.{name}: an alternative is gone"
    components = {}
    waiting = []
    references(operations, waiting)
    while waiting:
        _, _, room, name = waiting.pop().split("/")
        if name in components.setdefault(room, {}):
            continue
        found = bare(whole["components"][room][name])
        components[room][name] = found
        references(found, waiting)
    if "securitySchemes" in whole["components"]:
        components["securitySchemes"] = bare(whole["components"]["securitySchemes"], names=True)
    kept = {
        "openapi": whole["openapi"],
        "info": {key: whole["info"][key] for key in ("title", "version")},
        "servers": whole.get("servers", []),
        holder: operations,
        "components": {room: dict(sorted(inside.items())) for room, inside in sorted(components.items())},
    }
    if "security" in whole:
        kept["security"] = whole["security"]
    with open(target, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
