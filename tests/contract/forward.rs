//! Forward: the vault sends a card to a named destination, and its caller sees neither number nor CVC.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{
    API_KEY, Answer, Client, DestinationPlan, Peer, Reply, Result, Rule, VaultPlan, World, WorldPlan, eventually,
    standard_policy,
};
use strongroom_wire::Scope;
use tokio::sync::Notify;

use crate::{VISA, card, id};

/// A world whose vault may send cards to this peer, as `psp`.
pub(crate) async fn world_with(
    destination: DestinationPlan,
    act: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> Result<(World, Client, Peer)> {
    let vault = VaultPlan { destinations: Vec::new(), ..VaultPlan::default() };
    let mut world = World::start(WorldPlan { vault, ..WorldPlan::default() }).await?;
    let peer = Peer::beside(&mut world, destination, act).await?;
    let release = world.release().await?;
    Ok((world, release, peer))
}

/// The destination of most tests.
pub(crate) fn psp() -> DestinationPlan {
    DestinationPlan::new("psp", "")
}

/// A card with a CVC: its token and the sealed CVC.
pub(crate) async fn stored(release: &Client) -> Result<(String, Value)> {
    let mut body = card(VISA, json!({}));
    body["card"]["cvc"] = "987".into();
    body["card"]["holder_name"] = "Ada Lovelace".into();
    let stored = release.post("/v1/payment_methods", &body).await?.expect(201)?;
    Ok((id(&stored), stored["cvc_token"].clone()))
}

/// A template for a card.
pub(crate) fn template(token: &str, more: Value) -> Value {
    let mut template = json!({
        "destination": "psp",
        "method": "POST",
        "path": "/v1/payment_methods",
        "headers": [["Authorization", format!("Bearer {API_KEY}")]],
        "body": {"form": [
            ["type", "card"],
            ["card[number]", "{{card.number}}"],
            ["card[exp_month]", "{{card.exp_month}}"],
            ["card[exp_year]", "{{card.exp_year}}"],
            ["card[cvc]", "{{card.cvc}}"],
        ]},
        "payment_method_id": token,
        "reference": "pay_forward",
    });
    if let (Value::Object(template), Value::Object(more)) = (&mut template, more) {
        template.extend(more);
    }
    template
}

pub(crate) async fn forward(release: &Client, template: &Value) -> Result<Answer> {
    release.post("/v1/forward", template).await
}

/// The entries of forwards, oldest first: outcome and note.
pub(crate) async fn entries(world: &World) -> Result<Vec<(String, String)>> {
    let page = world.security().await?.get("/v1/audit/entries?limit=1000").await?.expect(200)?;
    let word = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let entries = page["entries"].as_array().cloned().unwrap_or_default();
    Ok(entries
        .iter()
        .filter(|entry| entry["act"] == "forward")
        .map(|entry| (word(entry, "outcome"), word(entry, "note")))
        .collect())
}

fn two(entries: &[(String, String)]) -> Vec<(&str, &str)> {
    entries.iter().map(|(outcome, note)| (outcome.as_str(), note.as_str())).collect()
}

#[tokio::test]
async fn headers_that_come_back_are_masked_as_well() -> Result<()> {
    let (_world, release, _peer) =
        world_with(psp(), |_| Reply::Answer(200, "Request-Id: see 4242 4242 4242 4242\r\n", String::new())).await?;
    let (token, _) = stored(&release).await?;
    let answer = forward(&release, &template(&token, json!({}))).await?.expect(200)?;
    assert_eq!(answer["headers"], json!({"request-id": "see **** **** **** 4242"}));
    Ok(())
}

fn echo(request: &str) -> Reply {
    let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Reply::Answer(200, "Content-Type: text/plain\r\nRequest-Id: req_psp\r\nSet-Cookie: a=b\r\n", body.to_owned())
}

#[tokio::test]
async fn a_card_reaches_the_psp_and_what_it_answers_is_a_payment_method() -> Result<()> {
    let world = World::with_payments().await?;
    let release = world.release().await?;
    let (token, cvc) = stored(&release).await?;
    let asked = template(&token, json!({"destination": "stripe", "cvc_token": cvc}));
    let answer = forward(&release, &asked).await?;
    let index: u64 = answer.header("audit-index").unwrap().parse().unwrap();
    let answer = answer.expect(200)?;
    assert_eq!((&answer["outcome"], &answer["status"]), (&json!("sent"), &json!(200)));
    let made: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert!(made["id"].as_str().unwrap().starts_with("pm_"), "{made}");
    assert_eq!(made["card"]["last4"], "4242");
    let found = entries(&world).await?;
    assert_eq!(two(&found), [("allowed", "stripe pay_forward"), ("ended", "sent 2xx stripe pay_forward")]);
    let proof = release.get(&format!("/v1/audit/proofs/{index}")).await?.expect(200)?;
    assert_eq!(proof["index"], index);
    Ok(())
}

#[tokio::test]
async fn what_arrives_is_whole_and_what_comes_back_is_masked() -> Result<()> {
    let (world, release, peer) = world_with(psp(), echo).await?;
    let (token, cvc) = stored(&release).await?;
    let answer = forward(&release, &template(&token, json!({"cvc_token": cvc}))).await?;
    let said = answer.said();
    let answer = answer.expect(200)?;
    let heard = peer.heard();
    assert!(heard[0].ends_with(
        "type=card&card%5Bnumber%5D=4242424242424242&card%5Bexp_month%5D=12&card%5Bexp_year%5D=2031&card%5Bcvc%5D=987"
    ));
    assert!(heard[0].contains("connection: close\r\n"));
    assert!(!said.contains(VISA) && !said.contains("987"), "{said}");
    assert_eq!(
        answer["body"],
        "type=card&card%5Bnumber%5D=************4242&card%5Bexp_month%5D=12&card%5Bexp_year%5D=2031&card%5Bcvc%5D=***"
    );
    assert_eq!(answer["headers"], json!({"content-type": "text/plain", "request-id": "req_psp"}));
    // The CVC was used up; the card alone may go again, without the field.
    let again = forward(&release, &template(&token, json!({"cvc_token": cvc}))).await?;
    assert_eq!((again.status, again.problem().as_str()), (409, "cvc-gone"));
    forward(&release, &template(&token, json!({}))).await?.must_be(200)?;
    let heard = peer.heard();
    assert_eq!(heard.len(), 2);
    assert!(heard[1].ends_with("card%5Bexp_year%5D=2031"));
    let json = json!({"json": {
        "card": {"n": "{{card.number}}", "y": "{{card.exp_year_number}}", "name": "{{card.holder_name}}"},
        "amount": 1050,
    }});
    let answer = forward(&release, &template(&token, json!({"body": json}))).await?.expect(200)?;
    assert!(
        peer.heard()[2].ends_with(r#"{"amount":1050,"card":{"n":"4242424242424242","name":"Ada Lovelace","y":2031}}"#)
    );
    let read: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!((&read["card"]["n"], &read["amount"]), (&json!("************4242"), &json!(1050)));
    drop(world);
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_is_answered_again_without_being_sent() -> Result<()> {
    let (world, release, peer) = world_with(psp(), |_| Reply::Answer(402, "", r#"{"declined":true}"#.into())).await?;
    let (token, cvc) = stored(&release).await?;
    let first = template(&token, json!({"idempotency_key": "order-1", "cvc_token": cvc}));
    let sent = forward(&release, &first).await?;
    assert_eq!(sent.header("idempotent-replayed"), None);
    let sent = sent.expect(200)?;
    assert!(peer.heard()[0].contains("idempotency-key: order-1\r\n"));
    // The CVC is used up and the credential was rotated; it is the same request all the same.
    let mut again = first.clone();
    again["headers"] = json!([["authorization", "Bearer sk_test_rotated"]]);
    let answered = forward(&release, &again).await?;
    assert_eq!(answered.header("idempotent-replayed"), Some("true"));
    assert_eq!(answered.expect(200)?, sent);
    assert_eq!(peer.heard().len(), 1);
    let mut other = first.clone();
    other["body"]["form"][0][1] = "other".into();
    let refused = forward(&release, &other).await?;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "idempotency-conflict"));
    let found = entries(&world).await?;
    assert_eq!(
        two(&found),
        [
            ("allowed", "psp pay_forward"),
            ("ended", "sent 4xx psp pay_forward"),
            ("allowed", "psp pay_forward answered again"),
        ]
    );
    // In the header it is another thing than in the body.
    let keyed = release.clone().with("Idempotency-Key", "order-2");
    assert_eq!(keyed.post("/v1/forward", &first).await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn the_largest_answer_is_kept_too() -> Result<()> {
    // Control characters are escaped in JSON, to six times their size.
    let large = || "\u{1}".repeat(strongroom_wire::limits::FORWARD_ANSWER_BYTES_MAX);
    let (_world, release, peer) = world_with(psp(), move |_| Reply::Answer(200, "", large())).await?;
    let (token, _) = stored(&release).await?;
    let asked = template(&token, json!({"idempotency_key": "order-1"}));
    let sent = forward(&release, &asked).await?.expect(200)?;
    let again = forward(&release, &asked).await?;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200)?, sent);
    assert_eq!(peer.heard().len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_was_not_answered_well_is_sent_again_under_its_key() -> Result<()> {
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, times) = (Arc::clone(&count), "connect_timeout_ms = 500\ntotal_timeout_ms = 500");
    let (_world, release, peer) =
        world_with(psp().with(times), move |_| match counted.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Silence,
            1 => Reply::HangUp,
            2 => Reply::Answer(500, "", "{}".into()),
            _ => Reply::Answer(200, "", r#"{"n":1}"#.into()),
        })
        .await?;
    let (token, _) = stored(&release).await?;
    let asked = template(&token, json!({"idempotency_key": "order-1"}));
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        let answer = forward(&release, &asked).await?.expect(200)?;
        outcomes.push((answer["outcome"].clone(), answer["reason"].clone(), answer["status"].clone()));
    }
    assert_eq!(
        outcomes,
        [
            (json!("in_doubt"), json!("timed_out"), Value::Null),
            (json!("in_doubt"), json!("connection_lost"), Value::Null),
            (json!("sent"), Value::Null, json!(500)),
            (json!("sent"), Value::Null, json!(200)),
            (json!("sent"), Value::Null, json!(200)),
        ]
    );
    assert_eq!(peer.heard().len(), 4);
    assert!(peer.heard().iter().all(|request| request.contains("idempotency-key: order-1\r\n")));
    let mut other = asked.clone();
    other["path"] = "/v1/other".into();
    forward(&release, &other).await?.must_be(409)
}

#[tokio::test]
async fn of_many_with_one_key_at_once_one_is_sent() -> Result<()> {
    // The peer answers the first request only once another one was.
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let (_world, release, peer) = world_with(psp(), move |_| Reply::When(Arc::clone(&held), "{}".into())).await?;
    let (token, _) = stored(&release).await?;
    let asked = template(&token, json!({"idempotency_key": "order-1"}));
    let first = {
        let (release, asked) = (release.clone(), asked.clone());
        tokio::spawn(async move { forward(&release, &asked).await })
    };
    eventually("the first request", PATIENCE, || async { Ok((peer.heard().len() == 1).then_some(())) }).await?;
    let busy = forward(&release, &asked).await?;
    assert_eq!(busy.status, 409);
    assert_eq!((busy.problem().as_str(), busy.header("retry-after")), ("idempotency-conflict", Some("1")));
    gate.notify_one();
    first.await.unwrap()?.must_be(200)?;
    assert_eq!(forward(&release, &asked).await?.header("idempotent-replayed"), Some("true"));
    assert_eq!(peer.heard().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_opens_and_sends_nothing() -> Result<()> {
    let (world, release, peer) = world_with(psp(), echo).await?;
    let (token, cvc) = stored(&release).await?;
    let asked = template(&token, json!({"dry_run": true, "cvc_token": cvc, "idempotency_key": "order-1"}));
    let shown = forward(&release, &asked).await?.expect(200)?;
    assert_eq!(shown["outcome"], "dry_run");
    assert_eq!(shown["url"], format!("{}/v1/payment_methods", peer.url()));
    assert_eq!(
        (&shown["headers"]["authorization"], &shown["headers"]["idempotency-key"]),
        (&json!("***"), &json!("order-1"))
    );
    let body = shown["body"].as_str().unwrap();
    assert!(body.contains("42424242%2A%2A%2A%2A%2A%2A4242") && body.contains("cvc%5D=%2A%2A%2A"), "{body}");
    assert!(peer.heard().is_empty());
    assert_eq!(two(&entries(&world).await?), [("allowed", "dry run psp pay_forward")]);
    // The CVC is still there, and so is the key.
    let asked = template(&token, json!({"cvc_token": cvc, "idempotency_key": "order-1"}));
    assert_eq!(forward(&release, &asked).await?.expect(200)?["outcome"], "sent");
    Ok(())
}

#[tokio::test]
async fn who_may_not_forward_or_not_there_is_refused_and_recorded() -> Result<()> {
    let scopes = [Scope::Tokenize, Scope::Forward];
    let policy = standard_policy()
        .rule(Rule::new("only", "reveals", &["*"], &[Scope::Reveal]).reveals(10, 10))
        .rule(Rule::new("only", "elsewhere", &["*"], &scopes).reveals(10, 10).destinations(&["other"]))
        .rule(Rule::new("only", "twice", &["*"], &[Scope::Forward, Scope::Reveal]).reveals(2, 2));
    let world = World::start(WorldPlan { policy, ..WorldPlan::default() }).await?;
    let (token, _) = stored(&world.release().await?).await?;
    let asked = template(&token, json!({"dry_run": true}));
    for (name, status) in [("reveals", 403), ("elsewhere", 403)] {
        let who = world.credentials("only", name)?;
        let refused = world.vault.release(&world.pki, &who)?.tenant(&world.tenant).post("/v1/forward", &asked).await?;
        assert_eq!((refused.status, refused.problem().as_str()), (status, "denied"), "{name}");
    }
    // Each forward is a release: it shares the quota of reveals.
    let who = world.credentials("only", "twice")?;
    let client = world.vault.release(&world.pki, &who)?.tenant(&world.tenant);
    forward(&client, &asked).await?.must_be(200)?;
    forward(&client, &asked).await?.must_be(200)?;
    assert_eq!(forward(&client, &asked).await?.problem(), "quota-exceeded");
    let reveal = json!({"purpose": "authorize", "reference": "pay_1"});
    let revealed = client.post(&format!("/v1/payment_methods/{token}/reveal"), &reveal).await?;
    assert_eq!(revealed.problem(), "quota-exceeded");
    let outcomes: Vec<String> = entries(&world).await?.into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, ["refused", "refused", "allowed", "allowed", "refused"]);
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(20);
