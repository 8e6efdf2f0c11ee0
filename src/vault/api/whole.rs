//! Acts that must not stop half-way: they go on to their end even if the client goes away.
//!
//! The server drops a handler whose connection breaks, at whatever it was waiting for. Most acts can be dropped anywhere,
//! because all they change is one transaction. Those that change the store and then the keyring cannot: a tenant would be
//! registered without its keys in memory, a vault be unsealed without its rotations, or recorded as sealed and stay open.

use std::future::Future;

use strongroom_wire::Kind;

use super::problem::Refusal;
use crate::flow::FlowError;

/// Runs an act on this thread to its end, whatever becomes of the request that asked for it.
///
/// # Errors
/// Those of the act; [`Kind::Internal`] if it panicked.
pub(crate) async fn whole<T: 'static>(act: impl Future<Output = Result<T, FlowError>> + 'static) -> Result<T, Refusal> {
    match actix_web::rt::spawn(act).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Refusal::new(Kind::Internal, "see the vault's log with this request's id")),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[actix_web::test]
    async fn an_act_whose_asker_went_away_goes_on_to_its_end() {
        let (open, opened) = tokio::sync::oneshot::channel::<()>();
        let done = Rc::new(Cell::new(false));
        let noted = Rc::clone(&done);
        let mut asked = Box::pin(whole(async move {
            let _ = opened.await;
            noted.set(true);
            Ok(())
        }));
        assert!(matches!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        drop(asked);
        open.send(()).unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(done.get());
    }
}
