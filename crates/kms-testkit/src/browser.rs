//! A browser of a few lines: it follows redirects, keeps cookies, and fills in the form of a page.
//! For plain HTTP on this machine. It knows nothing of any page but its form.

use std::net::SocketAddr;

use crate::http::{Answer, Connection};

/// How many pages and redirects a visit may have.
const STEPS_MAX: usize = 30;

/// A page that was arrived at.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it is.
    pub url: String,
    /// Its status.
    pub status: u16,
    /// What it says.
    pub text: String,
}

/// Where a visit has got to.
enum Step {
    Page(Page),
    /// Somewhere else than where the visit began, to which it was not asked to go.
    Away(String),
}

struct Cookie {
    origin: String,
    path: String,
    name: String,
    value: String,
}

/// A browser, with what it remembers.
#[derive(Default)]
pub struct Browser {
    cookies: Vec<Cookie>,
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").finish_non_exhaustive()
    }
}

impl Browser {
    /// One that remembers nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes there, and wherever it is sent on to.
    pub fn visit(&mut self, url: &str) -> Page {
        match self.walk("GET", url, String::new(), None) {
            Step::Page(page) => page,
            Step::Away(url) => panic!("{url}"),
        }
    }

    /// Sends the page's form with what it holds, and these fields filled in.
    pub fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> Page {
        match self.send_form(page, fields, None) {
            Step::Page(page) => page,
            Step::Away(url) => panic!("{url}"),
        }
    }

    /// Goes to where a provider asks who the user is, says so, confirms what is asked, and ends up
    /// where the provider sends the browser: at its own last page, or at whoever wanted to know.
    pub fn log_in(&mut self, url: &str, user: &str) -> Page {
        let mut page = self.visit(url);
        for _ in 0..STEPS_MAX {
            let Some(form) = Form::of(&page.text) else { return page };
            let fields = form.answers(user);
            page = self.submit(&page, &fields);
        }
        panic!("no end of forms at {}", page.url)
    }

    /// The same, but does not go to whoever wanted to know: gives the address to which the provider
    /// sends the browser.
    pub fn redirect_after_log_in(&mut self, url: &str, user: &str) -> String {
        let (home, _) = split(url);
        let mut step = self.walk("GET", url, String::new(), Some(&home));
        for _ in 0..STEPS_MAX {
            let page = match step {
                Step::Away(url) => return url,
                Step::Page(page) => page,
            };
            let Some(form) = Form::of(&page.text) else {
                panic!("not sent on, but told: {} {}", page.status, page.text)
            };
            let fields = form.answers(user);
            step = self.send_form(&page, &fields, Some(&home));
        }
        panic!("no end of forms at {url}")
    }

    fn send_form(&mut self, page: &Page, fields: &[(&str, &str)], home: Option<&str>) -> Step {
        let Some(form) = Form::of(&page.text) else { panic!("no form: {}", page.text) };
        let mut all: Vec<(&str, &str)> = form
            .inputs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| fields.iter().all(|(given, _)| given != name))
            .collect();
        all.extend(fields);
        let target = resolve(&page.url, &form.action);
        self.walk("POST", &target, form_body(&all), home)
    }

    fn walk(&mut self, method: &str, url: &str, body: String, home: Option<&str>) -> Step {
        let (mut method, mut url, mut body) = (method, url.to_owned(), body);
        for _ in 0..STEPS_MAX {
            let (origin, _) = split(&url);
            if home.is_some_and(|home| home != origin) {
                return Step::Away(url);
            }
            let answer = self.exchange(method, &url, &body);
            match answer.header("location") {
                Some(location) if (300..400).contains(&answer.status) => {
                    url = resolve(&url, location);
                    (method, body) = ("GET", String::new());
                }
                _ => {
                    let (status, text) = (answer.status, answer.text());
                    return Step::Page(Page { url, status, text });
                }
            }
        }
        panic!("no end of redirects at {url}")
    }

    fn exchange(&mut self, method: &str, url: &str, body: &str) -> Answer {
        let (origin, path) = split(url);
        let host = origin.trim_start_matches("http://");
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|cookie| cookie.origin == origin && path.starts_with(&cookie.path))
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        if !cookies.is_empty() {
            head.extend(["cookie: ", &cookies.join("; "), "\r\n"]);
        }
        if method == "POST" {
            head.push_str("content-type: application/x-www-form-urlencoded\r\n");
            head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
        }
        let mut connection = Connection::open(address(&origin));
        connection.send(format!("{head}\r\n{body}").as_bytes());
        let answer = connection.answer().unwrap_or_else(|| panic!("{url}: no answer"));
        for (name, value) in &answer.headers {
            if name == "set-cookie" {
                self.keep(&origin, value);
            }
        }
        answer
    }

    fn keep(&mut self, origin: &str, field: &str) {
        let mut parts = field.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|first| first.split_once('=')) else {
            return;
        };
        let path = parts.find_map(|part| part.strip_prefix("path=")).unwrap_or("/").to_owned();
        let same = |it: &Cookie| it.origin == origin && it.path == path && it.name == name;
        self.cookies.retain(|it| !same(it));
        if !value.is_empty() {
            let (origin, name, value) = (origin.to_owned(), name.to_owned(), value.to_owned());
            self.cookies.push(Cookie { origin, path, name, value });
        }
    }
}

/// The form of a page.
struct Form {
    action: String,
    inputs: Vec<(String, String)>,
}

impl Form {
    fn of(page: &str) -> Option<Self> {
        let (_, form) = page.split_once("<form")?;
        let (form, _) = form.split_once("</form>")?;
        let (head, body) = form.split_once('>')?;
        let inputs = body.split("<input").skip(1).filter_map(|input| {
            let (input, _) = input.split_once('>')?;
            let value = attribute(input, "value").unwrap_or_default();
            Some((attribute(input, "name")?, value))
        });
        Some(Self {
            action: attribute(head, "action").unwrap_or_default(),
            inputs: inputs.collect(),
        })
    }

    /// What a user fills in: the name, where it is asked for.
    fn answers<'a>(&self, user: &'a str) -> Vec<(&'static str, &'a str)> {
        let asks = self.inputs.iter().any(|(name, _)| name == "login");
        asks.then_some(("login", user)).into_iter().collect()
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, value) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = value.split_once('"')?;
    Some(value.replace("&amp;", "&").replace("&quot;", "\"").replace("&#39;", "'"))
}

/// The fields as the body of a form, or as a query.
pub fn form_body(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(["%", &format!("{byte:02X}")]);
        }
    }
    escaped
}

/// The value of a field in a URL's query.
pub fn query_field(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| unescape(value))
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let pair = |rest: &mut std::str::Bytes<'_>| {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        };
        bytes.push(if byte == b'%' { pair(&mut rest).unwrap_or(b'?') } else { byte });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A URL's scheme and host, and what is asked for there.
fn split(url: &str) -> (String, String) {
    let Some(rest) = url.strip_prefix("http://") else { panic!("not plain HTTP: {url}") };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let slash = if path.starts_with('/') { "" } else { "/" };
    (format!("http://{host}"), format!("{slash}{path}"))
}

fn resolve(base: &str, target: &str) -> String {
    if target.contains("://") {
        return target.to_owned();
    }
    let (origin, path) = split(base);
    match target {
        "" => base.to_owned(),
        target if target.starts_with('/') => format!("{origin}{target}"),
        target => panic!("a relative address at {path}: {target}"),
    }
}

fn address(origin: &str) -> SocketAddr {
    let host = origin.trim_start_matches("http://").replace("localhost", "127.0.0.1");
    host.parse().unwrap_or_else(|error| panic!("{origin}: {error}"))
}
