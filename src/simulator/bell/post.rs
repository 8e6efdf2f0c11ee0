//! One posting of one letter.

use super::{Letter, Target};

/// Posts the letter; whether the target took it (any 2xx).
pub(super) async fn post(target: &Target, letter: Letter) -> bool {
    let mut request = target.client.post(target.url.clone()).header("Content-Type", "application/json");
    for (name, value) in letter.headers {
        request = request.header(name, value);
    }
    match request.body(letter.body).send().await {
        Ok(answer) => {
            let taken = answer.status().is_success();
            // Read to its end, so that the connection can be used again.
            let _ = answer.bytes().await;
            taken
        }
        Err(_) => false,
    }
}
