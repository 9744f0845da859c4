//! The one comparison of an answer with the expected one.
//!
//! The profiles let some values vary from server to server: identifiers, the server's name and
//! clock, messages for people, bytes of keys that the server made, the order of attributes, and
//! attributes beyond the expected ones where all were asked for. Everything else must be equal.

use std::collections::HashSet;

use crate::calendar;
use crate::tree::Node;
use crate::variables::{Expected, Variables, expected};

/// Seconds that a moment may differ from `$NOW`.
const TOLERANCE: i64 = 120;

/// Elements that no two servers have in common.
const IGNORED: &[&str] = &["ResultMessage", "ServerCorrelationValue", "ServerHashedPassword"];

/// Attributes and fields that a server may leave out or add: the specification obliges it to
/// neither.
const OPTIONAL: &[&str] = &[
    "Lease Time",
    "LeaseTime",
    "Operation Policy Name",
    "OperationPolicyName",
    "Random Number Generator",
    "RandomNumberGenerator",
    "X.509 Certificate Identifier",
    "LocatedItems",
    "ClientCorrelationValue",
];

/// What the comparison needs to know of the case.
pub(crate) struct Context<'a> {
    /// The operations that the server has.
    pub(crate) operations: &'a HashSet<String>,
    /// The values that the requests so far spell out.
    pub(crate) given: &'a HashSet<String>,
    /// Whether the server makes a key in this case.
    pub(crate) makes_keys: bool,
    /// Whether this case encrypts with a padding that is random.
    pub(crate) pads_at_random: bool,
    /// The request that is answered.
    pub(crate) request: &'a Node,
    pub(crate) variables: Variables,
    /// Whether the server chose a nonce or a padding for this answer, so that its bytes depend on
    /// that.
    pub(crate) by_chance: bool,
}

/// How the children of an element are compared.
#[derive(Clone, Copy, Default)]
struct Manner {
    /// In any order.
    unordered: bool,
    /// There may be more than expected.
    more: bool,
    /// What the server has is a fact about it: what is expected need not be there.
    facts: bool,
}

impl Context<'_> {
    /// Compares a whole message and binds placeholders on the way; the first difference otherwise.
    pub(crate) fn check(&mut self, expected: &Node, actual: &Node) -> Result<(), String> {
        let (wanted, found) = (items(expected), items(actual));
        let requests: Vec<&Node> = self.request.all("BatchItem").collect();
        self.header(expected, actual)?;
        if wanted.len() != found.len() {
            return Err(format!("{} batch items, expected {}", found.len(), wanted.len()));
        }
        for (number, (wanted, found)) in wanted.into_iter().zip(found).enumerate() {
            let manner = manner(wanted, requests.get(number).copied());
            self.item(wanted, found, manner)
                .map_err(|difference| format!("item {}: {difference}", number + 1))?;
        }
        Ok(())
    }

    fn header(&mut self, expected: &Node, actual: &Node) -> Result<(), String> {
        let wanted = expected.child("ResponseHeader").ok_or("the case has no header")?;
        let found = actual.child("ResponseHeader").ok_or("no ResponseHeader")?;
        // What is answered is in the version that was asked in, whatever the case says.
        let asked = self.request.child("RequestHeader").and_then(|it| it.child("ProtocolVersion"));
        if asked.is_some_and(|asked| Some(asked) != found.child("ProtocolVersion")) {
            return Err("answered in another version than asked in".into());
        }
        let rest = |node: &Node| -> Vec<Node> {
            let version = |child: &&Node| child.name != "ProtocolVersion";
            node.children.iter().filter(version).cloned().collect()
        };
        let manner = Manner { unordered: true, ..Manner::default() };
        self.children("/ResponseHeader", &rest(wanted), &rest(found), manner)
    }

    fn item(&mut self, wanted: &Node, found: &Node, manner: Manner) -> Result<(), String> {
        // The reason first: it says more than that the status differs.
        for name in ["ResultStatus", "ResultReason"] {
            let (wanted, actual) = (wanted.text(name), found.text(name));
            if wanted.map(plain) != actual.map(plain) {
                let message = found.text("ResultMessage").unwrap_or_default();
                return Err(format!(
                    "{name} {}, expected {} ({message})",
                    actual.unwrap_or("missing"),
                    wanted.unwrap_or("none")
                ));
            }
        }
        let rest = |node: &Node| -> Vec<Node> {
            node.children.iter().filter(|child| child.name != "ResponsePayload").cloned().collect()
        };
        self.children("", &rest(wanted), &rest(found), Manner::default())?;
        let empty =
            Node { name: "ResponsePayload".into(), kind: "Structure".into(), ..Node::default() };
        let wanted = wanted.child("ResponsePayload").unwrap_or(&empty);
        let padded = self.pads_at_random && found.text("Operation") == Some("Encrypt");
        self.by_chance = padded
            || found
                .child("ResponsePayload")
                .is_some_and(|it| it.child("IVCounterNonce").is_some());
        let found = found.child("ResponsePayload").unwrap_or(&empty);
        self.inside("ResponsePayload", wanted, found, manner)
    }

    fn element(&mut self, path: &str, wanted: &Node, found: &Node) -> Result<(), String> {
        let path = format!("{path}/{}", wanted.name);
        if wanted.name != found.name || wanted.kind != found.kind {
            return Err(format!(
                "{path}: {} {}, expected {} {}",
                found.kind, found.name, wanted.kind, wanted.name
            ));
        }
        if wanted.kind == "Structure" {
            return self.inside(&path, wanted, found, Manner::default());
        }
        self.value(&path, wanted, found)
    }

    fn inside(
        &mut self,
        path: &str,
        wanted: &Node,
        found: &Node,
        mut manner: Manner,
    ) -> Result<(), String> {
        manner.unordered |=
            wanted.name.ends_with("Attributes") || wanted.name.ends_with("Attribute");
        self.children(path, &wanted.children, &found.children, manner)
    }

    fn children(
        &mut self,
        path: &str,
        wanted: &[Node],
        found: &[Node],
        manner: Manner,
    ) -> Result<(), String> {
        let mut left: Vec<&Node> = found.iter().filter(|node| counts(node)).collect();
        for wanted in wanted.iter().filter(|node| counts(node)) {
            match self.find(path, wanted, &left, manner) {
                Ok(number) => drop(left.remove(number)),
                Err(_) if manner.facts && self.is_fact(wanted) => {}
                Err(_) if OPTIONAL.contains(&label(wanted)) => {}
                Err(difference) => return Err(difference),
            }
        }
        match left.first() {
            Some(extra) if !manner.more && !OPTIONAL.contains(&label(extra)) => {
                Err(format!("{path}: not expected: {}", extra.write()))
            }
            _ => Ok(()),
        }
    }

    /// Where among `left` what is wanted is; else how the most similar one differs.
    fn find(
        &mut self,
        path: &str,
        wanted: &Node,
        left: &[&Node],
        manner: Manner,
    ) -> Result<usize, String> {
        let before = self.variables.clone();
        let mut best = format!("{path}: {} is missing: {}", wanted.name, wanted.write());
        let reach = if manner.unordered { left.len() } else { left.len().min(1) };
        for (number, candidate) in left.iter().take(reach).enumerate() {
            let Err(difference) = self.inner(path, wanted, candidate, manner) else {
                return Ok(number);
            };
            self.variables = before.clone();
            if candidate.name == wanted.name && label(candidate) == label(wanted) {
                best = difference;
            }
        }
        Err(best)
    }

    /// As [`Self::element`], but the attributes of an object take over the manner of the payload
    /// that holds them.
    fn inner(
        &mut self,
        path: &str,
        wanted: &Node,
        found: &Node,
        manner: Manner,
    ) -> Result<(), String> {
        if wanted.name == "Attributes" && found.name == "Attributes" {
            return self.inside(&format!("{path}/Attributes"), wanted, found, manner);
        }
        self.element(path, wanted, found)
    }

    /// Whether this says what a server has, which another server need not have.
    fn is_fact(&self, wanted: &Node) -> bool {
        match wanted.name.as_str() {
            "Operation" => !self.operations.contains(&plain(&wanted.value)),
            "ObjectType" => {
                matches!(
                    plain(&wanted.value).as_str(),
                    "template" | "splitkey" | "pgpkey" | "certificaterequest"
                )
            }
            _ => true,
        }
    }

    fn value(&mut self, path: &str, wanted: &Node, found: &Node) -> Result<(), String> {
        let differs =
            |expected: &str| Err(format!("{path}: {:?}, expected {expected:?}", found.value));
        match expected(wanted) {
            Expected::Moment(offset) => {
                let now = calendar::now() + offset;
                match calendar::read(&found.value) {
                    Some(moment) if (moment - now).abs() <= TOLERANCE => Ok(()),
                    _ => differs(&wanted.value),
                }
            }
            Expected::Variable(name) => match self.variables.get(name) {
                Some(value) if value.eq_ignore_ascii_case(&found.value) => Ok(()),
                // Each stream of a case has its own, under one name.
                Some(_) if wanted.name == "CorrelationValue" => {
                    self.variables.bind(name, &found.value);
                    Ok(())
                }
                Some(value) => differs(&format!("{name} = {value}")),
                None => {
                    self.variables.bind(name, &found.value);
                    Ok(())
                }
            },
            Expected::Literal(literal) if self.varies(wanted) => {
                // A later request may repeat the bytes that one server answered.
                self.variables.bind(&literal.to_lowercase(), &found.value);
                Ok(())
            }
            Expected::Literal(value) if same(&wanted.kind, value, &found.value) => Ok(()),
            Expected::Literal(value) => differs(value),
        }
    }

    /// Whether a value that is spelt out is only one server's own.
    fn varies(&self, wanted: &Node) -> bool {
        let given = wanted.value.is_empty() || self.given.contains(&wanted.value.to_lowercase());
        match wanted.kind.as_str() {
            "DateTime" | "DateTimeExtended" => !given,
            "ByteString" | "BigInteger" => (self.makes_keys || self.by_chance) && !given,
            _ => false,
        }
    }
}

fn items(message: &Node) -> Vec<&Node> {
    message.all("BatchItem").collect()
}

/// Whether an element takes part in the comparison.
fn counts(node: &Node) -> bool {
    // The first of several is where an index is left out.
    let first = node.name == "AttributeIndex" && node.value == "0";
    !first && !IGNORED.contains(&node.name.as_str())
}

/// What an element is about: for an attribute of 1.x its name, for the name of one what it names.
fn label(node: &Node) -> &str {
    match node.name.as_str() {
        "Attribute" => node.text("AttributeName").unwrap_or_default(),
        "AttributeName" | "AttributeReference" => &node.value,
        other => other,
    }
}

fn manner(wanted: &Node, request: Option<&Node>) -> Manner {
    let all = request.and_then(|item| item.child("RequestPayload")).is_none_or(|payload| {
        payload.children.iter().all(|child| child.name == "UniqueIdentifier")
    });
    match wanted.text("Operation") {
        Some("Query") => Manner { unordered: true, more: true, facts: true },
        Some("GetAttributes") => Manner { unordered: true, more: all, facts: false },
        Some("GetAttributeList") => Manner { unordered: true, more: true, facts: false },
        Some("Locate") => Manner { unordered: true, ..Manner::default() },
        _ => Manner::default(),
    }
}

/// A name without what the spellings differ in.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

fn same(kind: &str, wanted: &str, found: &str) -> bool {
    match kind {
        "TextString" => wanted == found,
        "Enumeration" => plain(wanted) == plain(found),
        "Integer" => match (number(wanted), number(found)) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => names(wanted) == names(found),
        },
        "LongInteger" | "Interval" => number(wanted) == number(found),
        "BigInteger" => {
            wanted.trim_start_matches('0').eq_ignore_ascii_case(found.trim_start_matches('0'))
        }
        "DateTime" | "DateTimeExtended" => calendar::read(wanted) == calendar::read(found),
        _ => wanted.eq_ignore_ascii_case(found),
    }
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The names of a mask.
fn names(mask: &str) -> HashSet<String> {
    mask.split([' ', '|']).filter(|name| !name.is_empty()).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Context;
    use crate::tree::{Node, read};
    use crate::variables::Variables;

    fn message(payload: &str) -> Node {
        read(&format!(
            "<ResponseMessage><ResponseHeader><TimeStamp type=\"DateTime\" value=\"$NOW\"/></ResponseHeader>\
             <BatchItem><Operation type=\"Enumeration\" value=\"GetAttributes\"/><ResultStatus type=\"Enumeration\" \
             value=\"Success\"/><ResponsePayload>{payload}</ResponsePayload></BatchItem></ResponseMessage>"
        ))
        .unwrap()
    }

    fn differs(wanted: &str, found: &str) -> Option<String> {
        let request = read(
            "<RequestMessage><BatchItem><RequestPayload><AttributeName type=\"TextString\" \
             value=\"State\"/></RequestPayload></BatchItem></RequestMessage>",
        )
        .unwrap();
        let mut context = Context {
            operations: &HashSet::new(),
            given: &HashSet::new(),
            makes_keys: false,
            pads_at_random: false,
            request: &request,
            variables: Variables::default(),
            by_chance: false,
        };
        let now = crate::calendar::spell(crate::calendar::now());
        let found = read(&message(found).write().replace("$NOW", &now)).unwrap();
        context.check(&message(wanted), &found).err()
    }

    #[test]
    fn what_may_vary_may_and_nothing_else() {
        let state = |name: &str| format!("<State type=\"Enumeration\" value=\"{name}\"/>");
        let id = |id: &str| format!("<UniqueIdentifier type=\"TextString\" value=\"{id}\"/>");
        assert_eq!(differs(&state("PreActive"), &state("Pre_Active")), None);
        assert!(differs(&state("PreActive"), &state("Active")).is_some());
        assert!(differs(&state("PreActive"), "").is_some());
        assert!(differs("", &state("Active")).is_some());
        assert_eq!(differs(&id("$UNIQUE_IDENTIFIER_0"), &id("abc")), None);
        let (twice, other) = (id("$A").repeat(2), id("a") + &id("b"));
        assert_eq!(differs(&twice, &id("a").repeat(2)), None);
        assert!(differs(&twice, &other).is_some(), "a placeholder stands for one value");
        let mask = |names: &str| format!("<M type=\"Integer\" value=\"{names}\"/>");
        assert_eq!(differs(&mask("Decrypt Encrypt"), &mask("Encrypt|Decrypt")), None);
        assert!(differs(&mask("Decrypt Encrypt"), &mask("Encrypt")).is_some());
        let data = |hex: &str| format!("<Data type=\"ByteString\" value=\"{hex}\"/>");
        assert!(differs(&data("00"), &data("01")).is_some());
    }
}
