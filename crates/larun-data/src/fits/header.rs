//! Headers: cards of 80 characters.

use core::fmt;

use super::{BLOCK, FitsFault};

/// Characters of a card.
const CARD: usize = 80;

/// The value of a keyword.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `T` or `F`.
    Logical(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text, without the spaces at its end.
    Text(String),
    /// None, or one that is not read here, as it stands.
    Other(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logical(value) => write!(f, "{}", if *value { "T" } else { "F" }),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Other(value) => write!(f, "{value:?}"),
        }
    }
}

/// A keyword and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// The keyword.
    pub keyword: String,
    /// The value.
    pub value: Value,
}

/// The header of a unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    cards: Vec<Card>,
}

impl Header {
    /// Reads a header from its first byte on; also gives its length with the padding.
    pub(super) fn read(bytes: &[u8], unit: usize) -> Result<(Self, usize), FitsFault> {
        let mut cards: Vec<Card> = Vec::new();
        for (index, card) in bytes.chunks_exact(CARD).enumerate() {
            let (keyword, rest) = card.split_at(8);
            let keyword = text(keyword);
            let keyword = keyword.trim_end();
            if keyword == "END" {
                let len = ((index + 1) * CARD).div_ceil(BLOCK) * BLOCK;
                return Ok((Self { cards }, len));
            }
            if let Some(value) = rest.strip_prefix(b"= ") {
                let keyword = keyword.to_owned();
                let value = parse(value);
                cards.push(Card { keyword, value });
            } else if keyword == "CONTINUE" {
                continue_text(&mut cards, rest);
            }
        }
        Err(FitsFault::NoEnd { unit })
    }

    /// The cards that have values, in order.
    #[must_use]
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// The value of a keyword; of the first where it stands twice.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&Value> {
        let card = self.cards.iter().find(|card| card.keyword == keyword);
        card.map(|card| &card.value)
    }

    /// Text, not empty.
    #[must_use]
    pub fn text(&self, keyword: &str) -> Option<&str> {
        match self.get(keyword) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A number.
    #[must_use]
    pub fn number(&self, keyword: &str) -> Option<f64> {
        match self.get(keyword) {
            Some(Value::Integer(value)) => Some(*value as f64),
            Some(Value::Real(value)) => Some(*value),
            _ => None,
        }
    }

    /// A whole number.
    #[must_use]
    pub fn integer(&self, keyword: &str) -> Option<i64> {
        match self.get(keyword) {
            Some(Value::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    /// A size: a keyword that must be there and not negative.
    pub(super) fn size(&self, keyword: &str, unit: usize) -> Result<usize, FitsFault> {
        self.integer(keyword)
            .and_then(|value| usize::try_from(value).ok())
            .ok_or_else(|| self.wrong(keyword, unit, "a whole number, not negative"))
    }

    pub(super) fn wrong(&self, keyword: &str, unit: usize, expected: &'static str) -> FitsFault {
        FitsFault::Keyword {
            unit,
            keyword: keyword.to_owned(),
            found: self
                .get(keyword)
                .map_or_else(|| "missing".to_owned(), Value::to_string),
            expected,
        }
    }

    /// The bytes of an element.
    pub(super) fn element_bytes(&self, unit: usize) -> Result<usize, FitsFault> {
        match self.integer("BITPIX") {
            Some(8) => Ok(1),
            Some(16) => Ok(2),
            Some(32 | -32) => Ok(4),
            Some(64 | -64) => Ok(8),
            _ => Err(self.wrong("BITPIX", unit, "8, 16, 32, 64, -32 or -64")),
        }
    }

    /// The lengths of the axes, `NAXIS1` first.
    pub(super) fn axes(&self, unit: usize) -> Result<Vec<usize>, FitsFault> {
        let count = self.size("NAXIS", unit)?;
        if count > 999 {
            return Err(self.wrong("NAXIS", unit, "999 at most"));
        }
        (1..=count)
            .map(|axis| self.size(&format!("NAXIS{axis}"), unit))
            .collect()
    }

    /// The bytes of the data: `|BITPIX| / 8 * GCOUNT * (PCOUNT + NAXIS1 * NAXIS2 * ...)`.
    pub(super) fn data_len(&self, unit: usize) -> Result<usize, FitsFault> {
        let axes = self.axes(unit)?;
        if axes.is_empty() {
            return Ok(0);
        }
        let optional = |keyword: &str, default| match self.get(keyword) {
            None => Ok(default),
            Some(_) => self.size(keyword, unit),
        };
        // Random groups, of before 1990, count their first axis as 0 and leave it out of the product.
        let is_groups = self.get("GROUPS") == Some(&Value::Logical(true));
        let axes = axes.get(usize::from(is_groups)..).unwrap_or_default();
        let (pcount, gcount) = (optional("PCOUNT", 0)?, optional("GCOUNT", 1)?);
        let elements = axes
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis));
        elements
            .and_then(|elements| elements.checked_add(pcount)?.checked_mul(gcount))
            .and_then(|elements| elements.checked_mul(self.element_bytes(unit).ok()?))
            .ok_or_else(|| self.wrong("NAXIS1", unit, "axes whose product is a size, and a BITPIX"))
    }
}

/// What a card has after `= `: a value and perhaps a comment.
fn parse(field: &[u8]) -> Value {
    let field = text(field);
    let field = field.trim_start();
    if let Some(quoted) = field.strip_prefix('\'') {
        return Value::Text(quoted_text(quoted));
    }
    let value = field.split('/').next().unwrap_or_default().trim();
    match value {
        "T" => return Value::Logical(true),
        "F" => return Value::Logical(false),
        _ => {}
    }
    if let Ok(whole) = value.parse() {
        return Value::Integer(whole);
    }
    // Fortran writes exponents of doubles with a D. Words such as `nan` and `inf` are no numbers here.
    let number = value.replace(['D', 'd'], "E");
    let is_numeric = value.contains(|c: char| c.is_ascii_digit());
    match number.parse() {
        Ok(real) if is_numeric => Value::Real(real),
        _ => Value::Other(value.to_owned()),
    }
}

/// Text up to its closing quote; a quote within it stands twice.
fn quoted_text(quoted: &str) -> String {
    let mut content = String::new();
    let mut characters = quoted.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\'' && characters.next_if_eq(&'\'').is_none() {
            break;
        }
        content.push(character);
    }
    content.truncate(content.trim_end().len());
    content
}

/// Text that was too long for its card ends with `&` and goes on here.
fn continue_text(cards: &mut [Card], rest: &[u8]) {
    let (Some(Card { value, .. }), Value::Text(more)) = (cards.last_mut(), parse(rest)) else {
        return;
    };
    if let Value::Text(text) = value
        && text.ends_with('&')
    {
        text.pop();
        text.push_str(&more);
    }
}

/// Bytes as characters, one each; headers hold ASCII.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}
