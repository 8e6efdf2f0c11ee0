//! Card networks by the words of the native dialect.

use serde::{Deserialize, Deserializer};
use strongroom_wire::payment_method::Brand;

/// A card network that was named by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(pub Brand);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        parse(&word).map(Self).ok_or_else(|| serde::de::Error::custom("no card network"))
    }
}

/// The network's word; none for a card of a network that nobody here knows.
#[must_use]
pub fn word(brand: Brand) -> Option<&'static str> {
    NETWORKS.iter().find(|(known, _)| *known == brand).map(|(_, word)| *word)
}

/// The network with this word.
#[must_use]
pub fn parse(word: &str) -> Option<Brand> {
    NETWORKS.iter().find(|(_, known)| *known == word).map(|(brand, _)| *brand)
}

/// Every network with its word.
pub fn all() -> impl Iterator<Item = (Brand, &'static str)> {
    NETWORKS.iter().copied()
}

const NETWORKS: &[(Brand, &str)] = &[
    (Brand::Visa, "Visa"),
    (Brand::Mastercard, "Mastercard"),
    (Brand::Amex, "AmericanExpress"),
    (Brand::Discover, "Discover"),
    (Brand::Diners, "DinersClub"),
    (Brand::Jcb, "JCB"),
    (Brand::Unionpay, "UnionPay"),
    (Brand::Maestro, "Maestro"),
    (Brand::Elo, "Elo"),
    (Brand::Rupay, "RuPay"),
    (Brand::Mir, "Mir"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back_to_their_network() {
        for (brand, name) in NETWORKS {
            assert_eq!((parse(name), word(*brand)), (Some(*brand), Some(*name)));
        }
        assert_eq!((parse("visa"), parse(""), word(Brand::Unknown)), (None, None, None));
    }
}
