//! Search domains: built from conditions with `&`, `|` and `!`, sent as Odoo's prefix notation.

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};

/// How deep a domain that is read may be nested.
const DEEPEST: usize = 200;

/// Which records: conditions on fields, combined with `&`, `|` and `!`.
///
/// Values travel as JSON values, never as text that is pasted together, so no value can change what the
/// domain says.
///
/// ```
/// use batchcall::odoo::{Domain, field};
/// use serde_json::json;
///
/// let domain = (field("name").ilike("acme") | field("ref").eq("&")) & !field("active").eq(false);
/// assert_eq!(
///     domain.to_value(),
///     json!(["&", "|", ["name", "ilike", "acme"], ["ref", "=", "&"], "!", ["active", "=", false]])
/// );
/// assert_eq!(Domain::parse(&domain.to_value())?, domain);
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Domain(Node);

#[derive(Clone, PartialEq)]
enum Node {
    All,
    Nothing,
    Condition { field: String, operator: String, value: Value },
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
}

/// A field of a model, or of a related one by a path such as `partner_id.country_id.code`.
pub fn field(name: impl Into<String>) -> Field {
    Field(name.into())
}

/// A field, about to become a condition. Made by [`field`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a field alone says nothing"]
pub struct Field(String);

impl Domain {
    /// Every record.
    #[must_use]
    pub fn all() -> Self {
        Self(Node::All)
    }

    /// No record.
    #[must_use]
    pub fn none() -> Self {
        Self(Node::Nothing)
    }

    /// The records with these ids.
    pub fn ids(ids: impl IntoIterator<Item = i64>) -> Self {
        field("id").is_in(ids)
    }

    /// Records of which every condition holds; of no conditions, every record.
    pub fn every(domains: impl IntoIterator<Item = Domain>) -> Self {
        domains.into_iter().fold(Self::all(), BitAnd::bitand)
    }

    /// Records of which some condition holds; of no conditions, no record.
    pub fn any_of(domains: impl IntoIterator<Item = Domain>) -> Self {
        domains.into_iter().fold(Self::none(), BitOr::bitor)
    }

    /// Reads a domain in Odoo's own notation.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) names the term that is none.
    pub fn parse(value: &Value) -> Result<Self> {
        let invalid = |what: String| Error::new(ErrorKind::Invalid, format!("not a domain: {what}"));
        let terms = value.as_array().ok_or_else(|| invalid(format!("{value} is no list")))?;
        // From the right, so that every operator finds its operands; each with its depth.
        let mut stack: Vec<(Node, usize)> = Vec::new();
        for term in terms.iter().rev() {
            let node = match term {
                Value::String(operator) if matches!(operator.as_str(), "&" | "|" | "!") => {
                    let mut operand =
                        || stack.pop().ok_or_else(|| invalid(format!("{operator:?} has too few terms")));
                    let (first, depth) = operand()?;
                    if operator == "!" {
                        (negated(first), depth + 1)
                    } else {
                        let (second, other) = operand()?;
                        let combine = if operator == "&" { and } else { or };
                        (combine(first, second), depth.max(other) + 1)
                    }
                }
                Value::String(operator) => return Err(invalid(format!("unknown operator {operator:?}"))),
                term => (leaf(term).ok_or_else(|| invalid(format!("{term} is no condition")))?, 0),
            };
            if node.1 > DEEPEST {
                return Err(invalid(format!("nested more than {DEEPEST} deep")));
            }
            stack.push(node);
        }
        // Terms that no operator joins must all hold.
        Ok(Self(stack.into_iter().rev().map(|(node, _)| node).fold(Node::All, and)))
    }

    /// The domain as it is sent.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut terms = Vec::new();
        if self.0 != Node::All {
            self.0.write(&mut terms);
        }
        Value::Array(terms)
    }
}

impl Node {
    fn write(&self, terms: &mut Vec<Value>) {
        match self {
            Self::All => terms.push(json!([1, "=", 1])),
            Self::Nothing => terms.push(json!([0, "=", 1])),
            Self::Condition { field, operator, value } => terms.push(json!([field, operator, value])),
            Self::And(nodes) => write_joined("&", nodes, terms),
            Self::Or(nodes) => write_joined("|", nodes, terms),
            Self::Not(node) => {
                terms.push("!".into());
                node.write(terms);
            }
        }
    }
}

fn write_joined(operator: &str, nodes: &[Node], terms: &mut Vec<Value>) {
    terms.extend((1..nodes.len()).map(|_| Value::from(operator)));
    nodes.iter().for_each(|node| node.write(terms));
}

/// A condition, or one of the two that hold always and never.
fn leaf(term: &Value) -> Option<Node> {
    let [left, operator, value] = term.as_array()?.as_slice() else { return None };
    match (left, operator.as_str()?) {
        (Value::String(field), operator) => Some(Node::Condition {
            field: field.clone(),
            operator: operator.to_owned(),
            value: value.clone(),
        }),
        (left, "=") if left.is_number() => Some(if left == value { Node::All } else { Node::Nothing }),
        _ => None,
    }
}

fn and(left: Node, right: Node) -> Node {
    match (left, right) {
        (Node::All, node) | (node, Node::All) => node,
        (Node::Nothing, _) | (_, Node::Nothing) => Node::Nothing,
        (Node::And(mut left), Node::And(right)) => {
            left.extend(right);
            Node::And(left)
        }
        (Node::And(mut left), right) => {
            left.push(right);
            Node::And(left)
        }
        (left, Node::And(mut right)) => {
            right.insert(0, left);
            Node::And(right)
        }
        (left, right) => Node::And(vec![left, right]),
    }
}

fn or(left: Node, right: Node) -> Node {
    match (left, right) {
        (Node::Nothing, node) | (node, Node::Nothing) => node,
        (Node::All, _) | (_, Node::All) => Node::All,
        (Node::Or(mut left), Node::Or(right)) => {
            left.extend(right);
            Node::Or(left)
        }
        (Node::Or(mut left), right) => {
            left.push(right);
            Node::Or(left)
        }
        (left, Node::Or(mut right)) => {
            right.insert(0, left);
            Node::Or(right)
        }
        (left, right) => Node::Or(vec![left, right]),
    }
}

fn negated(node: Node) -> Node {
    match node {
        Node::All => Node::Nothing,
        Node::Nothing => Node::All,
        Node::Not(node) => *node,
        node => Node::Not(Box::new(node)),
    }
}

impl BitAnd for Domain {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(and(self.0, other.0))
    }
}

impl BitOr for Domain {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(or(self.0, other.0))
    }
}

impl Not for Domain {
    type Output = Self;

    fn not(self) -> Self {
        Self(negated(self.0))
    }
}

impl Default for Domain {
    fn default() -> Self {
        Self::all()
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.to_value())
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl From<Domain> for Value {
    fn from(domain: Domain) -> Self {
        domain.to_value()
    }
}

impl From<&Domain> for Domain {
    fn from(domain: &Domain) -> Self {
        domain.clone()
    }
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident $operator:literal;)*) => {
        $($(#[$doc])*
        pub fn $name(self, value: impl Into<Value>) -> Domain {
            self.is($operator, value)
        })*
    };
}

impl Field {
    /// Any operator of Odoo's, for those that have no method here.
    pub fn is(self, operator: impl Into<String>, value: impl Into<Value>) -> Domain {
        Domain(Node::Condition { field: self.0, operator: operator.into(), value: value.into() })
    }

    comparisons! {
        /// `=`: equal; of a many2one by id, or by name where the value is text.
        eq "=";
        /// `!=`: not equal.
        ne "!=";
        /// `>`: above.
        gt ">";
        /// `>=`: above or equal.
        ge ">=";
        /// `<`: below.
        lt "<";
        /// `<=`: below or equal.
        le "<=";
        /// `=?`: equal, or the value is empty.
        eq_if_set "=?";
        /// `like`: contains the text; `%` and `_` in it are wildcards.
        like "like";
        /// `not like`: does not contain the text.
        not_like "not like";
        /// `ilike`: contains the text in whichever case.
        ilike "ilike";
        /// `not ilike`: does not contain the text in any case.
        not_ilike "not ilike";
        /// `=like`: matches the pattern of `%` and `_` as a whole.
        matches "=like";
        /// `=ilike`: matches the pattern of `%` and `_` as a whole, in whichever case.
        matches_any_case "=ilike";
        /// `child_of`: is the record, or below it. Takes one id, a list of ids, or a name.
        child_of "child_of";
        /// `parent_of`: is the record, or above it. Takes one id, a list of ids, or a name.
        parent_of "parent_of";
    }

    /// `in`: one of the values. Of none: no record.
    pub fn is_in<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Domain {
        self.is("in", values.into_iter().map(Into::into).collect::<Vec<Value>>())
    }

    /// `not in`: none of the values.
    pub fn not_in<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Domain {
        self.is("not in", values.into_iter().map(Into::into).collect::<Vec<Value>>())
    }

    /// `any`: some related record is in the domain. Odoo 17 and later.
    pub fn any(self, domain: impl Into<Domain>) -> Domain {
        self.is("any", domain.into().to_value())
    }

    /// `not any`: no related record is in the domain. Odoo 17 and later.
    pub fn not_any(self, domain: impl Into<Domain>) -> Domain {
        self.is("not any", domain.into().to_value())
    }

    /// The field has a value; of a yes-or-no field, it is yes.
    #[must_use]
    pub fn is_set(self) -> Domain {
        self.is("!=", false)
    }

    /// The field has no value; of a yes-or-no field, it is no.
    #[must_use]
    pub fn is_empty(self) -> Domain {
        self.is("=", false)
    }
}

#[cfg(test)]
mod tests;
