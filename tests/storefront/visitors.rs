//! Who is in the shop: a visitor for each cookie, with a basket, a name at the orchestrator, and orders.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Instant;

use crate::harness::{Fault, Result, because};

use super::catalogue::{self, Article};

/// Everybody, by cookie.
#[derive(Default)]
pub(super) struct Visitors {
    known: HashMap<String, Visitor>,
}

/// One of them.
#[derive(Clone, Default)]
pub(super) struct Visitor {
    /// Their name at the orchestrator, once there was an order.
    pub(super) customer_id: Option<String>,
    /// What they called themselves.
    pub(super) name: String,
    /// Where the confirmation would go.
    pub(super) email: String,
    /// How many of which article.
    pub(super) basket: BTreeMap<&'static str, u32>,
    /// The order that is being paid.
    pub(super) open: Option<Order>,
    /// What was paid, oldest first.
    pub(super) orders: Vec<Order>,
}

/// What somebody wants to buy, or has bought.
#[derive(Clone)]
pub(super) struct Order {
    /// Its number for people.
    pub(super) number: String,
    /// What it costs, in minor units.
    pub(super) amount: i64,
    /// What is in it, in words.
    pub(super) content: String,
    /// Its payment.
    pub(super) payment_id: String,
    /// With which the page may pay it.
    pub(super) client_secret: String,
    /// Until when it may be paid.
    pub(super) until: Instant,
    /// How it was paid, once it was: `visa, ending in 4242`.
    pub(super) paid_with: Option<String>,
}

impl Visitors {
    /// The visitor of a cookie, if there is one.
    pub(super) fn of(&mut self, cookie: &str) -> Option<&mut Visitor> {
        self.known.get_mut(cookie)
    }

    /// Somebody new; answers their cookie.
    ///
    /// # Errors
    /// When the shop is full.
    pub(super) fn enter(&mut self) -> Result<String> {
        if self.known.len() >= VISITORS_MAX {
            return Err(Fault::new("the shop is full: start the demo again"));
        }
        let cookie = random_hex::<16>()?;
        self.known.insert(cookie.clone(), Visitor::default());
        Ok(cookie)
    }

    /// Forgets somebody.
    pub(super) fn leave(&mut self, cookie: &str) {
        self.known.remove(cookie);
    }
}

impl Visitor {
    /// Puts one more of an article into the basket.
    pub(super) fn take(&mut self, article: &'static Article) {
        let count = self.basket.entry(article.sku).or_default();
        *count = (*count + 1).min(OF_ONE_MAX);
    }

    /// What is in the basket.
    pub(super) fn lines(&self) -> Vec<(&'static Article, u32)> {
        self.basket.iter().filter_map(|(sku, count)| Some((catalogue::article(sku)?, *count))).collect()
    }

    /// What it costs, in minor units.
    pub(super) fn total(&self) -> i64 {
        self.lines().iter().map(|(article, count)| article.price * i64::from(*count)).sum()
    }

    /// The basket in words.
    pub(super) fn content(&self) -> String {
        let lines: Vec<String> =
            self.lines().iter().map(|(article, count)| format!("{count} × {}", article.name)).collect();
        lines.join(", ")
    }

    /// The order of this number, open or paid.
    pub(super) fn order(&self, number: &str) -> Option<&Order> {
        self.open.iter().chain(&self.orders).find(|order| order.number == number)
    }

    /// The open order was paid: it is among the orders now, and the basket is empty.
    pub(super) fn paid(&mut self, number: &str, with: String) {
        if let Some(mut order) = self.open.take_if(|order| order.number == number) {
            order.paid_with = Some(with);
            self.orders.push(order);
            self.basket.clear();
        }
    }
}

/// Random bytes of the operating system, as hexadecimal digits.
pub(super) fn random_hex<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(because("random numbers"))?;
    let mut text = String::with_capacity(BYTES * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Most cookies at a time.
const VISITORS_MAX: usize = 10_000;

/// Most of one article in a basket.
const OF_ONE_MAX: u32 = 9;

#[test]
fn a_paid_order_leaves_an_empty_basket_and_is_paid_once() {
    let mut visitor = Visitor::default();
    visitor.take(&catalogue::ARTICLES[0]);
    visitor.take(&catalogue::ARTICLES[0]);
    assert_eq!((visitor.total(), visitor.content().as_str()), (2500, "2 × Morning Fern"));
    let order = |number: &str| Order {
        number: number.to_owned(),
        amount: 2500,
        content: visitor.content(),
        payment_id: String::new(),
        client_secret: String::new(),
        until: Instant::now(),
        paid_with: None,
    };
    let mut buyer = Visitor { open: Some(order("A1")), ..visitor.clone() };
    buyer.paid("B2", String::new());
    assert!(buyer.open.is_some(), "another order's payment pays nothing here");
    buyer.paid("A1", "visa".to_owned());
    buyer.paid("A1", "amex".to_owned());
    assert_eq!((buyer.orders.len(), buyer.orders[0].paid_with.as_deref(), buyer.total()), (1, Some("visa"), 0));
}
