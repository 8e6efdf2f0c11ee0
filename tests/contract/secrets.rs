//! Secrets: an orchestrator's credentials in, back under an entry, gone when deleted.

use serde_json::json;
use strongroom_tests::harness::Result;

use crate::vault;

#[tokio::test]
async fn a_secret_comes_back_as_it_went_in_and_is_gone_when_deleted() -> Result<()> {
    let (world, release) = vault().await?;
    world.register("other").await?;
    let value = "{\"api_key\":\"sk_test_\u{e4}\"}";
    let stored = release.post("/v1/secrets", &json!({"name": "stripe", "value": value})).await?.expect(201)?;
    let path = format!("/v1/secrets/{}", stored["secret_id"].as_str().unwrap());
    let back = release.post(&format!("{path}/reveal"), &json!({})).await?;
    assert!(back.header("audit-index").is_some());
    assert_eq!(back.expect(200)?["value"], value);
    let other = world.release().await?.tenant("other");
    other.post(&format!("{path}/reveal"), &json!({})).await?.must_be(404)?;
    release.send(reqwest::Method::DELETE, &path, None, &[]).await?.must_be(204)?;
    release.post(&format!("{path}/reveal"), &json!({})).await?.must_be(404)
}
