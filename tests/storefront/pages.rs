//! The shop's pages: files of `site/`, with what the server knows put into them.

use super::catalogue::{ARTICLES, Article, money};
use super::visitors::{Order, Visitor};
use super::{Addresses, Sdk};

/// A page for a visitor. `name` is one of the files of `site/`.
pub(super) fn page(name: &str, visitor: &Visitor, addresses: &Addresses, sdk: &Sdk) -> String {
    let (title, body) = match name {
        "basket" => ("Basket", include_str!("site/basket.html")),
        "checkout" => ("Checkout", include_str!("site/checkout.html")),
        "thanks" => ("Thank you", include_str!("site/thanks.html")),
        "account" => ("Account", include_str!("site/account.html")),
        _ => ("Fern & Kettle", include_str!("site/shop.html")),
    };
    let count: u32 = visitor.basket.values().sum();
    let orders = if visitor.orders.is_empty() { "<p>No orders yet.</p>".to_owned() } else { orders(visitor) };
    let whole = include_str!("site/frame.html").replace("{{body}}", body);
    // Texts of visitors come last, so that nothing in them is filled in.
    [
        ("{{title}}", escaped(title)),
        ("{{count}}", count.to_string()),
        ("{{articles}}", articles()),
        ("{{basket}}", basket(visitor)),
        ("{{total}}", money(visitor.total())),
        ("{{vault}}", addresses.vault.clone()),
        ("{{pay}}", addresses.pay.clone()),
        ("{{psp}}", addresses.psp.clone()),
        ("{{sdk}}", sdk.url.clone()),
        ("{{integrity}}", sdk.integrity.clone()),
        ("{{orders}}", orders),
        ("{{greeting}}", greeting(visitor)),
        ("{{name}}", escaped(&visitor.name)),
        ("{{email}}", escaped(&visitor.email)),
    ]
    .into_iter()
    .fold(whole, |text, (place, with)| text.replace(place, &with))
}

/// A file that pages ask for: its type and text.
pub(super) fn file(name: &str) -> Option<(&'static str, &'static str)> {
    let (script, picture) = ("text/javascript; charset=utf-8", "image/svg+xml");
    Some(match name {
        "shop.css" => ("text/css; charset=utf-8", include_str!("site/shop.css")),
        "panel.css" => ("text/css; charset=utf-8", include_str!("site/panel.css")),
        "panel.js" => (script, include_str!("site/panel.js")),
        "checkout.js" => (script, include_str!("site/checkout.js")),
        "thanks.js" => (script, include_str!("site/thanks.js")),
        "morning-fern.svg" => (picture, include_str!("site/morning-fern.svg")),
        "harbour-smoke.svg" => (picture, include_str!("site/harbour-smoke.svg")),
        "night-orchard.svg" => (picture, include_str!("site/night-orchard.svg")),
        "icon.svg" => (picture, include_str!("site/icon.svg")),
        _ => return None,
    })
}

fn articles() -> String {
    ARTICLES
        .iter()
        .map(|article| {
            format!(
                "<li class=\"article\"><img src=\"/site/{sku}.svg\" alt=\"\" width=\"220\" height=\"220\"><h2>{name}</h2>\
                 <p>{about}</p><form method=\"post\" action=\"/basket\"><span class=\"price\">{price} <small>100 g</small></span>\
                 <button name=\"sku\" value=\"{sku}\" aria-label=\"Add {name} to the basket\">Add</button></form></li>",
                sku = article.sku,
                name = article.name,
                about = article.about,
                price = money(article.price),
            )
        })
        .collect()
}

fn basket(visitor: &Visitor) -> String {
    if visitor.basket.is_empty() {
        return "<li class=\"none\">Nothing yet.</li>".to_owned();
    }
    let row = |(article, count): (&Article, u32)| {
        format!(
            "<li><img src=\"/site/{}.svg\" alt=\"\" width=\"48\" height=\"48\"><span>{count} × {}</span><span>{}</span></li>",
            article.sku,
            article.name,
            money(article.price * i64::from(count)),
        )
    };
    visitor.lines().into_iter().map(row).collect()
}

fn orders(visitor: &Visitor) -> String {
    let row = |order: &Order| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&order.number),
            escaped(&order.content),
            money(order.amount),
            escaped(order.paid_with.as_deref().unwrap_or("")),
        )
    };
    let rows: String = visitor.orders.iter().rev().map(row).collect();
    format!(
        "<table><thead><tr><th scope=\"col\">Order</th><th scope=\"col\">Tea</th><th scope=\"col\">Paid</th>\
         <th scope=\"col\">With</th></tr></thead><tbody>{rows}</tbody></table>"
    )
}

fn greeting(visitor: &Visitor) -> String {
    if visitor.name.is_empty() { String::new() } else { format!("Welcome back, {}.", escaped(&visitor.name)) }
}

/// Text that means itself in HTML, in attributes, too.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[test]
fn what_visitors_write_is_text_and_nothing_else() {
    let name = "\"><script>alert({{email}})</script>".to_owned();
    let visitor = Visitor { name, email: "a@b.example".to_owned(), ..Visitor::default() };
    let addresses = Addresses { shop: String::new(), vault: String::new(), pay: String::new(), psp: String::new() };
    let sdk = Sdk { url: String::new(), integrity: String::new() };
    let page = page("checkout", &visitor, &addresses, &sdk);
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(page.contains("&quot;&gt;&lt;script&gt;"), "{page}");
}
