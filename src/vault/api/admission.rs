//! A gate for each listener, so that a flood of one takes nothing of the others; and what is told to whom is turned away.

use std::sync::Arc;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{HttpMessage as _, HttpResponse};
use strongroom_gate::{Counts, Gate, drain};
use strongroom_wire::{Kind, limits};

use super::problem::Refusal;
use crate::config::Listen;
use crate::telemetry::metrics::ListenerLabel;

/// The gates of the listeners.
pub struct Gates {
    intake: Arc<Gate>,
    release: Arc<Gate>,
    admin: Arc<Gate>,
    locker: Arc<Gate>,
}

impl Gates {
    /// Gates as the configuration says.
    #[must_use]
    pub fn new(listen: &Listen) -> Self {
        Self {
            intake: Gate::new(listen.intake_requests_max),
            release: Gate::new(listen.release_requests_max),
            admin: Gate::new(listen.admin_requests_max),
            locker: Gate::new(listen.locker_requests_max),
        }
    }

    /// The gate of a listener.
    #[must_use]
    pub fn of(&self, listener: ListenerLabel) -> &Arc<Gate> {
        match listener {
            ListenerLabel::Intake => &self.intake,
            ListenerLabel::Release => &self.release,
            ListenerLabel::Admin => &self.admin,
            ListenerLabel::Locker => &self.locker,
        }
    }

    /// What each of them counted.
    #[must_use]
    pub fn counts(&self) -> Vec<(ListenerLabel, Counts)> {
        [ListenerLabel::Intake, ListenerLabel::Release, ListenerLabel::Admin, ListenerLabel::Locker]
            .map(|listener| (listener, self.of(listener).counts()))
            .to_vec()
    }
}

/// Whether a request is let in whatever else is at work: whoever asks how the vault is must be told so then above all.
pub(super) fn is_free(request: &ServiceRequest) -> bool {
    request.path() == "/health" || request.path().starts_with("/health/")
}

/// Answers a request that was turned away. Its body is not looked at; where the connection may stay open it is read away,
/// because a new handshake would cost both sides more than the request.
pub(super) async fn shed(
    mut request: ServiceRequest,
    stays_open: bool,
    told: impl FnOnce(&Refusal) -> HttpResponse,
) -> ServiceResponse {
    let body = request.take_payload();
    if stays_open {
        drain(body, limits::BODY_BYTES_MAX).await;
    }
    let detail = "as many requests as this listener takes at a time are at work; this one did nothing, ask again";
    let answer = Refusal::new(Kind::Overloaded, detail).retry_after(RETRY_AFTER_S);
    request.into_response(told(&answer))
}

const RETRY_AFTER_S: u64 = 1;
