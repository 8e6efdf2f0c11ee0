//! A CVC by itself: the customer types it again for a card that is kept, and whoever pays gets a sealed one.

use strongroom_wire::Token;
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::forward::CvcToken;
use strongroom_wire::limits;
use zeroize::Zeroizing;

use super::idempotency::tenant_of;
use super::reveal::failed;
use super::{Asker, FlowError, Vault, epochs, intake, row};
use crate::card::{CvcBody, IncomingCvc};
use crate::policy::{Fresh, Note, Principal, Tokenize};
use crate::store::CardRow;

/// A sealed CVC.
pub struct Sealed {
    /// A [`CvcToken`] as JSON, in memory that wipes itself.
    pub json: Zeroizing<Vec<u8>>,
    /// The audit entry that it rests on.
    pub audit_index: u64,
}

/// Seals a CVC for a stored card of the asker's tenant; a client session must be for the card's customer. Nothing of it is
/// stored, and nothing is kept for an idempotency key: each answer is another value for the same card.
///
/// # Errors
/// [`FlowError::NotFound`] for a card that is not there, not of the tenant or not of the session's customer, which are not
/// told apart; [`FlowError::Body`] for a CVC that does not fit the card's brand, or one that was sealed for something else;
/// [`FlowError::SealedTwice`] and [`FlowError::IntakeKeyGone`] for one that has to be sealed anew; and the others.
pub async fn seal(vault: &Vault, asker: &Asker, token: Token, incoming: IncomingCvc<'_>) -> Result<Sealed, FlowError> {
    let mut permit = vault.permit_unsealed::<Tokenize>(asker, Fresh, Note::words("cvc")).await?.about(token);
    let tenant = tenant_of(&permit)?;
    let plaintext;
    let body = match incoming {
        IncomingCvc::Clear(body) => body,
        IncomingCvc::Sealed(sealed) => {
            let sealing;
            (permit, plaintext, sealing) = intake::open_cvc(vault, permit, &token, &sealed).await?;
            let body = match CvcBody::opened(&plaintext) {
                Ok(body) => body,
                Err(why) => {
                    intake::refuse(vault, permit, "sealed CVC is none").await?;
                    return Err(why.into());
                }
            };
            permit = intake::spend(vault, permit, &sealing, None).await?;
            body
        }
    };
    let warrant = vault.warrant(permit).await?;
    let (audit_index, trace) = (warrant.index(), warrant.trace());
    let row = vault.store.card(&tenant, &token, vault.now_ms()).await?;
    let Some(row) = row.filter(|row| may_use(&asker.who, row)) else {
        return Err(failed(vault, trace, FlowError::NotFound).await);
    };
    if let Err(error) = epochs::ready(vault).await {
        return Err(failed(vault, trace, error).await);
    }
    let expires_ms = vault.now_ms() + limits::CVC_TTL_S * 1000;
    let sealed = row::check_binding(&vault.barrier, &row).and_then(|()| row::envelope(&row)).and_then(|envelope| {
        Ok(vault.barrier.seal_cvc_of_stored(warrant, &envelope, |brand| body.of_brand(brand))??)
    });
    match sealed {
        Ok(cvc_token) => {
            let answer = CvcToken { cvc_token, expires_at: rfc3339_ms(expires_ms) };
            let json = Zeroizing::new(serde_json::to_vec(&answer).map_err(|_| FlowError::Crypto("answer"))?);
            Ok(Sealed { json, audit_index })
        }
        Err(error) => Err(failed(vault, trace, error).await),
    }
}

/// A session is a browser's: it may speak of its own customer's cards and of nobody else's, and of none if it has no
/// customer.
fn may_use(who: &Principal, row: &CardRow) -> bool {
    match who {
        Principal::Session(claims) => claims.customer.is_some() && claims.customer == row.customer,
        Principal::Identity(_) | Principal::Vault => true,
    }
}
