//! The one page that a browser sees from us: how the login went. It needs nothing from elsewhere.

/// What the page says.
#[derive(Debug)]
pub(crate) struct Page {
    pub(super) status: &'static str,
    title: &'static str,
    text: String,
}

impl Page {
    /// The login worked.
    pub(crate) fn done(text: impl Into<String>) -> Self {
        Self { status: "200 OK", title: "You are logged in", text: text.into() }
    }

    /// The login failed.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self { status: "200 OK", title: "The login failed", text: text.into() }
    }

    /// What was asked for is not what we wait for.
    pub(super) fn refused(status: &'static str, text: &'static str) -> Self {
        Self { status, title: "This is not a login", text: text.to_owned() }
    }

    /// The page and what a browser must know about it.
    pub(super) fn response(&self) -> String {
        let html = self.html();
        format!(
            "HTTP/1.1 {}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; \
             style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'\r\n\r\n{html}",
            self.status,
            html.len()
        )
    }

    fn html(&self) -> String {
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title} – kms</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n<p>{text}</p>\n\
             <p>You may close this page and go back to the terminal.</p>\n\
             </main>\n</body>\n</html>\n",
            title = self.title,
            text = escaped(&self.text),
        )
    }
}

const STYLE: &str = "\
:root { color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; }
main { max-width: 32rem; padding: 2rem; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; }
p { margin: 0 0 0.75rem; overflow-wrap: anywhere; }
p::first-letter { text-transform: uppercase; }
";

/// Text as it stands in a page: none of it is markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_no_markup() {
        let response = Page::failed("<script>alert('1')</script>\r\n").response();
        let (head, html) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", html.len())), "{head}");
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{html}");
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        let html = Page::done("ok").html();
        for word in ["src=", "href=", "http:", "https:", "url(", "@import"] {
            assert!(!html.contains(word), "{word} in {html}");
        }
    }
}
