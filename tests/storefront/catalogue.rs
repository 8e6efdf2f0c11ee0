//! What the shop sells.

/// One article.
pub(super) struct Article {
    /// Its name in addresses and forms.
    pub(super) sku: &'static str,
    /// Its name for people.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) about: &'static str,
    /// In minor units of [`CURRENCY`].
    pub(super) price: i64,
}

/// Everything that is sold.
pub(super) const ARTICLES: [Article; 3] = [
    Article {
        sku: "morning-fern",
        name: "Morning Fern",
        about: "Steamed green tea from terraced gardens: bright, grassy, a little sweet.",
        price: 1250,
    },
    Article {
        sku: "harbour-smoke",
        name: "Harbour Smoke",
        about: "Black tea dried over pine embers, for rain on the window.",
        price: 1400,
    },
    Article {
        sku: "night-orchard",
        name: "Night Orchard",
        about: "Rooibos with apple, cinnamon and nothing that keeps you awake.",
        price: 990,
    },
];

/// The article of this name.
pub(super) fn article(sku: &str) -> Option<&'static Article> {
    ARTICLES.iter().find(|article| article.sku == sku)
}

/// An amount as people read it.
pub(super) fn money(minor: i64) -> String {
    format!("€{}.{:02}", minor / 100, minor % 100)
}

/// ISO 4217.
pub(super) const CURRENCY: &str = "EUR";

#[test]
fn money_has_two_places_behind_the_point() {
    assert_eq!(money(990), "€9.90");
    assert_eq!(money(1205), "€12.05");
}
