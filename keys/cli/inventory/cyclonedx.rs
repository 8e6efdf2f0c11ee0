//! The inventory as a CycloneDX 1.6 bill of materials: algorithms, keys, certificates and protocols are its
//! `cryptographic-asset` components.

use serde_json::{Value, json};

use super::{AlgorithmLine, KeyLine, Whole};

/// The whole document.
pub(super) fn document(whole: &Whole) -> Value {
    let mut components: Vec<Value> = whole.algorithms.iter().map(algorithm).collect();
    components.extend(whole.keys.iter().map(key));
    components.extend(whole.certificates.iter().map(|one| {
        json!({
            "type": "cryptographic-asset",
            // One CA may be that of several destinations.
            "bom-ref": format!(
                "certificate/{}/{}{}",
                one.role.as_str(),
                one.destination.as_ref().map(|name| format!("{name}/")).unwrap_or_default(),
                one.sha256
            ),
            "name": if one.names.is_empty() { one.subject.clone() } else { one.names.join(" ") },
            "cryptoProperties": {
                "assetType": "certificate",
                "certificateProperties": {
                    "subjectName": one.subject,
                    "issuerName": one.issuer,
                    "notValidBefore": one.not_before,
                    "notValidAfter": one.not_after,
                    "certificateFormat": "X.509",
                },
            },
        })
    }));
    components.extend(whole.tls.iter().flat_map(|listener| {
        listener.versions.iter().map(|version| {
            let number = version.trim_start_matches("TLSv").replace('_', ".");
            let suites = listener.cipher_suites.iter().filter(|suite| suite.starts_with("TLS13") == (number == "1.3"));
            let suites: Vec<Value> = suites.map(|suite| json!({ "name": suite })).collect();
            json!({
                "type": "cryptographic-asset",
                "bom-ref": format!("protocol/tls/{number}/{}", listener.listener),
                "name": format!("TLS {number} ({})", listener.listener),
                "description": format!("key exchange: {}", listener.key_exchange.join(", ")),
                "cryptoProperties": {
                    "assetType": "protocol",
                    "protocolProperties": { "type": "tls", "version": number, "cipherSuites": suites },
                },
            })
        })
    }));
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": format!("strongroom/{}", whole.vault_id),
                "name": "strongroom",
                "version": whole.version,
            },
        },
        "components": components,
    })
}

fn algorithm(line: &AlgorithmLine) -> Value {
    let primitive = match line.kind {
        "aead" => "ae",
        "mac" => "mac",
        "signature" => "signature",
        "kem" => "kem",
        "hash" => "hash",
        "passphrase-kdf" => "kdf",
        "randomness" => "drbg",
        _ => "other",
    };
    let mut properties = json!({ "primitive": primitive });
    if line.bits > 0 {
        properties["parameterSetIdentifier"] = json!(line.bits.to_string());
    }
    json!({
        "type": "cryptographic-asset",
        "bom-ref": format!("algorithm/{}", line.name),
        "name": line.name,
        "description": format!("{} ({})", line.purpose, line.standard),
        "cryptoProperties": { "assetType": "algorithm", "algorithmProperties": properties },
    })
}

fn key(line: &KeyLine) -> Value {
    let text = |field: &str| line.key[field].as_str().unwrap_or_default().to_owned();
    let (purpose, tenant) = (text("purpose"), text("tenant"));
    // The Root has no terms: its root.json names it.
    let (term, name) = match line.key["sha256"].as_str() {
        Some(sum) => (sum.to_owned(), format!("{purpose} {}", &sum[..sum.len().min(16)])),
        None => (line.key["term"].to_string(), format!("{purpose} term {}", line.key["term"])),
    };
    let state = match text("state").as_str() {
        "pending" => "pre-activation",
        "active" => "active",
        "destroyed" => "destroyed",
        _ => "deactivated",
    };
    let kind = if matches!(&*purpose, "sign" | "intake") { "private-key" } else { "secret-key" };
    let mut material = json!({
        "type": kind,
        "id": format!("{purpose}-{term}"),
        "state": state,
        "size": 256,
    });
    if let Some(at) = line.key["created_at"].as_str() {
        material["creationDate"] = json!(at);
    }
    if let Some(at) = line.key["expires_at"].as_str() {
        material["expirationDate"] = json!(at);
    }
    // What keeps the Root is said in the description: passphrases, an HSM or KMS.
    if purpose != "root" {
        material["securedBy"] = json!({ "mechanism": "Software", "algorithmRef": "algorithm/AES-256-GCM" });
    }
    json!({
        "type": "cryptographic-asset",
        "bom-ref": format!("key/{tenant}/{purpose}/{term}"),
        "name": format!("{name}{}", if tenant.is_empty() { String::new() } else { format!(" of {tenant}") }),
        "description": format!("{}; wrapped by {}", line.location, line.wrapped_by),
        "cryptoProperties": {
            "assetType": "related-crypto-material",
            "relatedCryptoMaterialProperties": material,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_document_is_one_of_its_own_and_none_twice() {
        let document = document(&super::super::tests::whole());
        let components = document["components"].as_array().unwrap();
        let refs: Vec<&str> = components.iter().map(|one| one["bom-ref"].as_str().unwrap()).collect();
        let unique: std::collections::BTreeSet<&str> = refs.iter().copied().collect();
        assert_eq!(unique.len(), refs.len());
        for one in components {
            assert_eq!(one["type"], "cryptographic-asset");
            let material = &one["cryptoProperties"]["relatedCryptoMaterialProperties"];
            if let Some(by) = material["securedBy"]["algorithmRef"].as_str() {
                assert!(unique.contains(by), "{by}");
            }
        }
        assert!(unique.contains("protocol/tls/1.2/intake") && unique.contains("key/acme/kek/3"));
        assert!(components.iter().any(|one| one["name"] == format!("root {}", "ab".repeat(8))), "the Root is missing");
    }
}
