//! Stripe's form encoding, parsed strictly: nested names in brackets, each field taken once, leftovers refused.

use std::collections::BTreeMap;

use strongroom_wire::limits;
use zeroize::Zeroizing;

use super::refusal::Refusal;

/// The fields of a request that nobody has asked for yet. Values are wiped when they are dropped.
pub(crate) struct Form {
    fields: BTreeMap<String, Zeroizing<String>>,
    lists: BTreeMap<String, Vec<Zeroizing<String>>>,
}

/// Metadata of an object: at most 50 pairs.
pub(crate) type Metadata = BTreeMap<String, String>;

impl Form {
    /// Parses a body or a query string.
    ///
    /// # Errors
    /// 400 for what is no form, a field given twice, or too many fields.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(bytes)
            .map_err(|_| Refusal::invalid("parameter_invalid", "The body is not a form (x-www-form-urlencoded)."))?;
        if pairs.len() > limits::SIMULATOR_FIELDS_MAX {
            return Err(Refusal::invalid("parameter_invalid", "Too many parameters."));
        }
        let mut form = Self { fields: BTreeMap::new(), lists: BTreeMap::new() };
        for (name, value) in pairs {
            let value = Zeroizing::new(value);
            if let Some(base) = list_name(&name) {
                form.lists.entry(base.to_owned()).or_default().push(value);
            } else if form.fields.insert(name, value).is_some() {
                return Err(Refusal::invalid("parameter_invalid", "A parameter was given twice."));
            }
        }
        Ok(form)
    }

    /// The text of an optional field; an empty text counts as absent, as with Stripe.
    pub(crate) fn text(&mut self, name: &str) -> Option<Zeroizing<String>> {
        self.fields.remove(name).filter(|value| !value.is_empty())
    }

    /// An optional text of at most `chars_max` characters, for fields that are no secret.
    pub(crate) fn plain(&mut self, name: &'static str, chars_max: usize) -> Result<Option<String>, Refusal> {
        match self.text(name) {
            Some(text) if text.chars().count() > chars_max => {
                Err(Refusal::invalid("parameter_invalid_string_length", "A text is too long.").param(name))
            }
            Some(text) => Ok(Some(text.as_str().to_owned())),
            None => Ok(None),
        }
    }

    /// The text of a field that has to be there.
    pub(crate) fn required(&mut self, name: &'static str) -> Result<Zeroizing<String>, Refusal> {
        self.text(name).ok_or_else(|| {
            Refusal::invalid("parameter_missing", format!("Missing required param: {name}.")).param(name)
        })
    }

    /// An optional whole number.
    pub(crate) fn integer(&mut self, name: &'static str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse();
        number
            .map(Some)
            .map_err(|_| Refusal::invalid("parameter_invalid_integer", format!("Invalid integer: {name}.")).param(name))
    }

    /// An optional `true` or `false`.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Refusal> {
        match self.text(name).as_deref().map(String::as_str) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Refusal::invalid("parameter_invalid", format!("Invalid boolean: {name}.")).param(name)),
        }
    }

    /// An optional text that has to be one of `choices`.
    pub(crate) fn choice(
        &mut self,
        name: &'static str,
        choices: &[&'static str],
    ) -> Result<Option<&'static str>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = choices.iter().find(|choice| **choice == text.as_str());
        found.copied().map(Some).ok_or_else(|| {
            let message = format!("Invalid {name}: must be one of {}.", choices.join(", "));
            Refusal::invalid("parameter_invalid", message).param(name)
        })
    }

    /// Everything under `metadata[...]`.
    pub(crate) fn metadata(&mut self) -> Result<Metadata, Refusal> {
        let names: Vec<String> = self.fields.keys().filter(|name| metadata_key(name).is_some()).cloned().collect();
        let wrong = |why| Refusal::invalid("parameter_invalid", why).param("metadata");
        if names.len() > limits::METADATA_ENTRIES_MAX {
            return Err(wrong("Metadata may hold 50 pairs at most."));
        }
        let mut metadata = Metadata::new();
        for name in names {
            let value = self.fields.remove(&name).unwrap_or_default();
            let key = metadata_key(&name).unwrap_or_default();
            if key.is_empty() || key.chars().count() > limits::METADATA_KEY_CHARS_MAX || key.contains(['[', ']']) {
                return Err(wrong("A metadata key has 1 to 40 characters and no square brackets."));
            }
            if value.chars().count() > limits::METADATA_VALUE_CHARS_MAX {
                return Err(wrong("A metadata value has at most 500 characters."));
            }
            metadata.insert(key.to_owned(), value.as_str().to_owned());
        }
        Ok(metadata)
    }

    /// A metadata value, left in place: what a fault may be chosen by.
    pub(crate) fn peek(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.as_str())
    }

    /// Every element of an optional list (`name[]` or `name[0]`).
    pub(crate) fn list(&mut self, name: &str) -> Vec<Zeroizing<String>> {
        self.lists.remove(name).unwrap_or_default()
    }

    /// Refuses what nobody took.
    ///
    /// # Errors
    /// 400 `parameter_unknown`. The name is repeated only when it has the look of a name, because a client that posts
    /// a card number as a field name should not read it back.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        let Some(name) = self.fields.keys().chain(self.lists.keys()).next() else { return Ok(()) };
        let named = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_[]".contains(&byte));
        let refusal = |text: String| Refusal::invalid("parameter_unknown", text);
        Err(if named {
            refusal(format!("Received unknown parameter: {name}. The simulator speaks a subset.")).param(name.clone())
        } else {
            refusal("Received an unknown parameter. The simulator speaks a subset.".to_owned())
        })
    }
}

fn metadata_key(name: &str) -> Option<&str> {
    name.strip_prefix("metadata[")?.strip_suffix(']')
}

/// The list that `name[]` or `name[3]` is an element of.
fn list_name(name: &str) -> Option<&str> {
    let (base, index) = name.strip_suffix(']')?.rsplit_once('[')?;
    (base != "metadata" && index.bytes().all(|byte| byte.is_ascii_digit())).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Form {
        Form::parse(text.as_bytes()).map_err(|refusal| refusal.body(None)).expect("a form")
    }

    #[test]
    fn nested_names_lists_and_metadata_are_told_apart() {
        let mut form = parse("card[number]=42&expand[]=latest_charge&expand%5B1%5D=x&metadata%5B7%5D=seven");
        assert_eq!(form.text("card[number]").as_deref().map(String::as_str), Some("42"));
        assert_eq!(form.list("expand").len(), 2);
        assert_eq!(form.metadata().map_err(|_| "refused").expect("metadata")["7"], "seven");
        assert!(form.finish().is_ok());
    }

    #[test]
    fn unknown_parameter_is_named_unless_it_looks_like_a_secret() {
        let said = |text: &str| parse(text).finish().expect_err("refused").body(None).to_string();
        assert!(said("ammount=1").contains("ammount"));
        assert!(!said("4242424242424242=1").contains("4242"));
    }

    #[test]
    fn field_given_twice_is_refused() {
        assert!(Form::parse(b"amount=1&amount=2").is_err());
    }

    #[test]
    fn more_fields_than_the_limit_are_refused() {
        let many = |count: usize| (0..count).map(|n| format!("f{n}=1")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(many(limits::SIMULATOR_FIELDS_MAX).as_bytes()).is_ok());
        assert!(Form::parse(many(limits::SIMULATOR_FIELDS_MAX + 1).as_bytes()).is_err());
    }

    #[test]
    fn more_metadata_than_the_limits_is_refused() {
        let pairs = |count: usize| (0..count).map(|n| format!("metadata[k{n}]=1")).collect::<Vec<_>>().join("&");
        assert!(parse(&pairs(limits::METADATA_ENTRIES_MAX)).metadata().is_ok());
        assert!(parse(&pairs(limits::METADATA_ENTRIES_MAX + 1)).metadata().is_err());
        let key = "k".repeat(limits::METADATA_KEY_CHARS_MAX + 1);
        assert!(parse(&format!("metadata[{key}]=1")).metadata().is_err());
        let value = "v".repeat(limits::METADATA_VALUE_CHARS_MAX + 1);
        assert!(parse(&format!("metadata[k]={value}")).metadata().is_err());
    }
}
