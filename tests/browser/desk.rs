//! What operators look at: a merchant of their own with two accounts at the provider and a receiver of webhooks, so that rules
//! which somebody saves in the dashboard send no payment of the shop another way.

use serde_json::{Value, json};
use strongroom_tests::harness::{API_KEY, EDITOR, Fault, Merchant, OPERATOR_PASSWORD, Receiver, Result, VIEWER, World};

use super::digits;

/// The merchant and who hears of its payments.
pub(crate) struct Desk {
    merchant: Merchant,
    receiver: Receiver,
}

impl Desk {
    /// Sets up the merchant in a world whose orchestrator has [`operators`](strongroom_tests::harness::operators).
    ///
    /// # Errors
    /// When somebody refuses.
    pub(crate) async fn furnish(world: &World) -> Result<Self> {
        world.register(MERCHANT).await?;
        let payments = world.payments()?;
        let merchant = payments.set_up(MERCHANT).await?;
        let second = json!({
            "connector_type": "payment_processor",
            "connector_name": "stripe",
            "connector_label": SECOND_ACCOUNT,
            "connector_account_details": { "auth_type": "HeaderKey", "api_key": API_KEY },
        });
        payments.operator().post(&format!("/account/{MERCHANT}/connectors"), &second).await?.must_be(200)?;
        let receiver = Receiver::start(&world.pki.server("server")?).await?;
        receiver.subscribe_for(payments, MERCHANT).await?;
        Ok(Self { merchant, receiver })
    }

    /// What the scripts need to know of it.
    pub(crate) fn as_json(&self) -> Value {
        json!({
            "merchant": self.merchant.id,
            "api_key": self.merchant.api_key,
            "second_account": SECOND_ACCOUNT,
            "taken": self.receiver.taken_url(),
            "editor": EDITOR,
            "viewer": VIEWER,
            "password": OPERATOR_PASSWORD,
        })
    }

    /// No webhook that the merchant got holds the number of a card, and none was signed by somebody else.
    ///
    /// # Errors
    /// When one does or was.
    pub(crate) fn heard_no_card(&self) -> Result<()> {
        let heard = self.receiver.heard();
        if heard.iter().any(|request| digits::of_card(request.as_bytes()).is_some()) {
            return Err(Fault::new("a webhook holds a card number"));
        }
        match self.receiver.forged() {
            0 => Ok(()),
            forged => Err(Fault::new(format!("{forged} webhooks were signed by nobody who is known"))),
        }
    }
}

const MERCHANT: &str = "north";
const SECOND_ACCOUNT: &str = "north two";
