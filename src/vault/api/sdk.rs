//! The browser SDK: its files, the document of the card fields, and the inventory of scripts (PCI DSS 6.4.3).
//!
//! Files are those that `src/sdk` was built to, compiled in. The document holds no card and no secret; whoever has a frame
//! ticket gets it, and browsers show it on the ticket's pages alone. Its scripts run with their hash or not at all.

use std::io::Write as _;
use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha384};
use strongroom_wire::{Kind, RequestId};

use super::connection::Peer;
use super::problem::Refusal;
use super::rate::Rate;
use super::state::State;
use crate::flow::FlowError;

/// One file of one version.
struct File {
    version: &'static str,
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

/// `GET /sdk/{version}/{file}`: a file of one version, which browsers keep for a year, or the newest 1.x as `v1`. Any page may fetch
/// it, with or without its hash, also while the vault is sealed.
pub(super) async fn file(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Refusal> {
    admitted(&request, &state, &state.sdk_rate)?;
    let (asked, name) = (request.match_info().query("version"), request.match_info().query("file"));
    let is_newest = asked == NEWEST_NAME;
    let version = if is_newest { NEWEST } else { asked };
    let found = FILES.iter().find(|file| file.version == version && file.name == name);
    // Of the newest there is the loader alone: it fetches the rest under its own version.
    let Some(file) = found.filter(|file| !is_newest || file.name == LOADER) else {
        let detail = format!("the SDK has /sdk/{NEWEST_NAME}/{LOADER} and the files that /sdk/inventory.json lists");
        return Err(Refusal::new(Kind::NoRoute, detail));
    };
    let kept = if is_newest { KEPT_NEWEST } else { KEPT_FOREVER };
    let packed = packed(file).filter(|_| takes_gzip(&request));
    let mut answer = HttpResponse::Ok().content_type(file.kind).body(packed.unwrap_or(file.bytes));
    if packed.is_some() {
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let vary = (header::VARY, "accept-encoding");
    for (name, value) in [(header::CACHE_CONTROL, kept), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"), vary] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    harden(&mut answer);
    Ok(answer)
}

/// `GET /sdk/inventory.json`: every file with its hash and what it is there for.
pub(super) async fn inventory(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Refusal> {
    admitted(&request, &state, &state.sdk_rate)?;
    let mut answer = HttpResponse::Ok().content_type("application/json").body(INVENTORY);
    for (name, value) in [(header::CACHE_CONTROL, KEPT_NEWEST), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    harden(&mut answer);
    Ok(answer)
}

/// `GET /sdk/{version}/fields?ticket=`: the document of the card fields. A refusal may be embedded by nobody.
pub(super) async fn fields(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let made = document(&request, &state);
    let mut answer = made.unwrap_or_else(|refusal| {
        let id = request.extensions().get::<RequestId>().copied().unwrap_or_else(RequestId::fresh);
        let mut answer = refusal.answer_to(id);
        let nobody = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, nobody);
        answer
    });
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    harden(&mut answer);
    answer
}

fn document(request: &HttpRequest, state: &State) -> Result<HttpResponse, Refusal> {
    admitted(request, state, &state.sdk_rate)?;
    let version = request.match_info().query("version");
    if !FILES.iter().any(|file| file.version == version) {
        return Err(Refusal::new(Kind::NoRoute, "the SDK has no such version; see /sdk/inventory.json"));
    }
    let Some(own) = state.public_origin.as_deref() else {
        let detail = "this vault serves no card fields: its operator sets public_origin in [intake]";
        return Err(Refusal::new(Kind::NoRoute, detail));
    };
    if !state.vault.barrier_is_unsealed() {
        return Err(FlowError::Sealed.into());
    }
    // A ticket that cannot be looked at is not one that is not valid.
    if state.vault.is_behind() {
        return Err(FlowError::Behind.into());
    }
    let ticket = request.query_string().strip_prefix("ticket=").unwrap_or_default();
    let Some(claims) = state.vault.verify_ticket(ticket) else {
        let detail =
            "the ticket is missing, changed or over: it is the part of a client session that the SDK's loader cuts out";
        return Err(Refusal::new(Kind::SessionInvalid, detail).at("ticket"));
    };
    // Sessions are made with origins that are checked; a header is written only out of such, whatever a MAC says.
    if !claims.origins.iter().all(|origin| strongroom_wire::origin::is_origin(origin)) {
        return Err(Refusal::new(Kind::SessionInvalid, "the ticket names what is no origin").at("ticket"));
    }
    let origins = claims.origins.join(" ");
    let mut answer = HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page(version, &origins));
    for (name, value) in headers_of(own, version, &origins) {
        let value = HeaderValue::try_from(value)
            .map_err(|_| Refusal::new(Kind::Internal, "a header of the document could not be written"))?;
        answer.headers_mut().insert(name, value);
    }
    Ok(answer)
}

/// No letter of it comes from the request: version and origins were looked up or verified.
fn page(version: &str, origins: &str) -> String {
    let of = |name: &str| (format!("/sdk/{version}/{name}"), integrity(version, name));
    let ((script, script_hash), (style, style_hash)) = (of(FIELDS), of(STYLE));
    format!(
        "<!doctype html>\n<html lang=\"en\" data-origins=\"{origins}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>Card fields</title>\n\
         <link rel=\"stylesheet\" href=\"{style}\" integrity=\"{style_hash}\" crossorigin=\"anonymous\">\n\
         <script src=\"{script}\" integrity=\"{script_hash}\" crossorigin=\"anonymous\" defer></script>\n\
         </head>\n<body></body>\n</html>\n"
    )
}

fn headers_of(own: &str, version: &str, origins: &str) -> [(HeaderName, String); 6] {
    let policy = format!(
        "default-src 'none'; script-src {own}/sdk/{version}/{FIELDS}; style-src {own}/sdk/{version}/{STYLE}; \
         connect-src {own}/v1/intake-key {own}/v1/payment_methods {own}/v1/payment_methods/; frame-ancestors {origins}; \
         form-action 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'; \
         report-uri {REPORTS}; report-to sdk"
    );
    let named = |name: &'static str| HeaderName::from_static(name);
    [
        (header::CONTENT_SECURITY_POLICY, policy),
        (named("reporting-endpoints"), format!("sdk=\"{own}{REPORTS}\"")),
        (named("integrity-policy"), "blocked-destinations=(script), endpoints=(sdk)".to_owned()),
        (named("permissions-policy"), PERMISSIONS.to_owned()),
        (named("cross-origin-opener-policy"), "same-origin".to_owned()),
        (named("cross-origin-embedder-policy"), "require-corp".to_owned()),
    ]
}

/// Subresource integrity of a file, or nothing for one that is not there.
fn integrity(version: &str, name: &str) -> String {
    let known = HASHES.iter().find(|(file, _)| file.version == version && file.name == name);
    known.map(|(_, hash)| hash.clone()).unwrap_or_default()
}

/// The file as gzip, packed once.
fn packed(file: &File) -> Option<&'static [u8]> {
    PACKED.iter().find(|(of, _)| of.version == file.version && of.name == file.name).map(|(_, bytes)| bytes.as_slice())
}

/// Whether the client names gzip; a browser that refuses what it names (`gzip;q=0`) there is none.
fn takes_gzip(request: &HttpRequest) -> bool {
    let named =
        request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    named.split(',').any(|coding| coding.trim() == "gzip")
}

fn admitted(request: &HttpRequest, state: &State, rate: &Rate) -> Result<(), Refusal> {
    if let Some(ip) = request.conn_data::<Peer>().map(Peer::ip)
        && let Err(seconds) = rate.count(ip, state.vault.now_ms())
    {
        let detail = "this address sent as many requests as it may in a minute";
        return Err(Refusal::new(Kind::RateLimited, detail).retry_after(seconds));
    }
    Ok(())
}

/// Pages of other origins fetch these, and none of them is taken for what it is not.
fn harden(answer: &mut HttpResponse) {
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
}

static HASHES: LazyLock<Vec<(&'static File, String)>> = LazyLock::new(|| {
    let hash = |file: &File| format!("sha384-{}", BASE64_STANDARD.encode(Sha384::digest(file.bytes)));
    FILES.iter().map(|file| (file, hash(file))).collect()
});

static PACKED: LazyLock<Vec<(&'static File, Vec<u8>)>> = LazyLock::new(|| {
    let pack = |file: &File| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail; should it, the file goes out as it is.
        packer.write_all(file.bytes).and_then(|()| packer.finish()).ok()
    };
    FILES.iter().filter_map(|file| Some((file, pack(file)?))).collect()
});

const INVENTORY: &str = include_str!("../../sdk/dist/inventory.json");

const FILES: &[File] = &[
    File {
        version: "1.0.0",
        name: LOADER,
        kind: SCRIPT_KIND,
        bytes: include_bytes!("../../sdk/dist/1.0.0/strongroom.js"),
    },
    File {
        version: "1.0.0",
        name: PAYMENTS,
        kind: SCRIPT_KIND,
        bytes: include_bytes!("../../sdk/dist/1.0.0/payments.js"),
    },
    File { version: "1.0.0", name: FIELDS, kind: SCRIPT_KIND, bytes: include_bytes!("../../sdk/dist/1.0.0/fields.js") },
    File { version: "1.0.0", name: STYLE, kind: STYLE_KIND, bytes: include_bytes!("../../sdk/dist/1.0.0/fields.css") },
];

/// The newest 1.x, and the name under which pages ask for it.
const NEWEST: &str = "1.0.0";
const NEWEST_NAME: &str = "v1";
const LOADER: &str = "strongroom.js";
const PAYMENTS: &str = "payments.js";
const FIELDS: &str = "fields.js";
const STYLE: &str = "fields.css";
const SCRIPT_KIND: &str = "text/javascript; charset=utf-8";
const STYLE_KIND: &str = "text/css; charset=utf-8";
const KEPT_FOREVER: &str = "public, max-age=31536000, immutable";
const KEPT_NEWEST: &str = "public, max-age=300";
const REPORTS: &str = "/sdk/reports";

/// Nothing that a device can do is needed to type a card.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), clipboard-write=(), \
                           display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), \
                           identity-credentials-get=(), magnetometer=(), microphone=(), midi=(), payment=(), \
                           picture-in-picture=(), publickey-credentials-create=(), publickey-credentials-get=(), \
                           screen-wake-lock=(), serial=(), usb=(), web-share=(), xr-spatial-tracking=()";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_and_inventoried_is_what_is_listed_as_published() {
        let listed: serde_json::Value = serde_json::from_str(include_str!("../../sdk/dist/HASHES.json")).unwrap();
        let inventory: serde_json::Value = serde_json::from_str(INVENTORY).unwrap();
        let mut published = Vec::new();
        for (version, entry) in listed.as_object().unwrap() {
            for (name, hash) in entry["files"].as_object().unwrap() {
                published.push((format!("/sdk/{version}/{name}"), hash.as_str().unwrap().to_owned()));
            }
        }
        let entry = |entry: &serde_json::Value| {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            (text("path"), text("integrity"))
        };
        let mut inventoried: Vec<_> = inventory["files"].as_array().unwrap().iter().map(entry).collect();
        let mut served: Vec<_> =
            HASHES.iter().map(|(file, hash)| (format!("/sdk/{}/{}", file.version, file.name), hash.clone())).collect();
        for list in [&mut published, &mut inventoried, &mut served] {
            list.sort();
        }
        assert!(!published.is_empty());
        assert_eq!(served, published);
        assert_eq!(inventoried, published);
    }

    #[test]
    fn the_inventory_lists_the_files_that_are_served_with_their_hashes() {
        let inventory: serde_json::Value = serde_json::from_str(INVENTORY).unwrap();
        assert_eq!(inventory["version"], NEWEST);
        let listed = inventory["files"].as_array().unwrap();
        assert_eq!(listed.len(), FILES.len());
        for (file, hash) in HASHES.iter() {
            let path = format!("/sdk/{}/{}", file.version, file.name);
            let entry = listed.iter().find(|entry| entry["path"] == path.as_str()).unwrap();
            assert_eq!(entry["integrity"], hash.as_str(), "{path}");
            assert_eq!(entry["bytes"], file.bytes.len(), "{path}");
            assert!(entry["purpose"].as_str().unwrap().len() > 20, "{path}");
        }
    }

    #[test]
    fn the_document_runs_nothing_but_files_with_their_hash() {
        let page = page(NEWEST, "https://shop.example");
        for name in [FIELDS, STYLE] {
            let hash = integrity(NEWEST, name);
            assert!(hash.len() == "sha384-".len() + 64 && page.contains(&hash), "{name}");
        }
        assert_eq!(page.matches("<script").count(), 1);
        assert!(page.contains("data-origins=\"https://shop.example\""));
    }

    #[test]
    fn the_policy_of_the_document_allows_its_own_files_and_the_intake_alone() {
        let headers = headers_of("https://vault.example", NEWEST, "https://a.example https://b.example");
        let policy = &headers.iter().find(|(name, _)| name == header::CONTENT_SECURITY_POLICY).unwrap().1;
        for part in [
            "default-src 'none'",
            "script-src https://vault.example/sdk/1.0.0/fields.js",
            "frame-ancestors https://a.example https://b.example",
            "form-action 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.split("; ").any(|given| given == part), "{part} is missing");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'));
    }
}
