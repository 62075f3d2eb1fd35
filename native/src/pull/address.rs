//! Parsing, joining and validating addresses and names from a server.

use ureq::http::Uri;

/// Scheme, host and port, which decide where the token may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    pub(super) fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.to_lowercase();
        Some(Self { secure, host, port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }) })
    }
}

/// Whether a file name from a server stays inside the folder that it is joined to, on every operating system.
#[must_use]
pub(super) fn is_inside(name: &str) -> bool {
    let harmless = |part: &str| !part.is_empty() && part != "." && part != "..";
    name.len() <= 512
        && name.split('/').all(harmless)
        && !name.contains(['\\', ':'])
        && !name.contains(char::is_control)
}

/// Whether the text can be the name of a branch, tag or commit.
#[must_use]
pub(super) fn is_revision(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/+".contains(&byte);
    !text.is_empty() && text.len() <= 200 && text.bytes().all(allowed) && is_inside(text)
}

/// Percent-encodes one part of a path, or a whole path if slashes are kept.
pub(super) fn escape(text: &str, keep_slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (byte == b'/' && keep_slashes) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The address without query and fragment, for messages: signed addresses contain secrets in the query.
pub(super) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Resolves a `Location` header relative to `base`.
pub(super) fn join(base: &str, target: &str) -> Option<String> {
    let scheme_end = base.find("://")? + 3;
    let path_start = base[scheme_end..].find(['/', '?', '#']).map_or(base.len(), |at| scheme_end + at);
    let joined = if target.starts_with("http://") || target.starts_with("https://") {
        target.to_owned()
    } else if target.starts_with("//") {
        format!("{}{target}", &base[..scheme_end - 2])
    } else if target.starts_with('/') {
        format!("{}{target}", &base[..path_start])
    } else {
        let path = without_query(base);
        let folder = path.rfind('/').filter(|at| *at >= path_start).map_or(path, |at| &path[..at]);
        format!("{folder}/{target}")
    };
    Origin::of(&joined).map(|_| joined)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_joined() {
        let base = "http://a.b:81/x/y?z=1/2";
        for (target, joined) in [
            ("https://c/d", "https://c/d"),
            ("//c/d", "http://c/d"),
            ("/d?e", "http://a.b:81/d?e"),
            ("d", "http://a.b:81/x/d"),
        ] {
            assert_eq!(join(base, target).unwrap(), joined);
        }
        assert_eq!(join("http://a.b", "d").unwrap(), "http://a.b/d");
        assert!(join(base, "http://").is_none());
    }

    #[test]
    fn origins_differ_in_scheme_host_or_port() {
        let of = |url| Origin::of(url);
        assert_eq!(of("https://A.b/c"), of("https://a.b:443/d"));
        for other in ["http://a.b", "https://a.c", "https://a.b:444"] {
            assert_ne!(of("https://a.b"), of(other));
        }
        assert!(of("ftp://a.b").is_none() && of("a.b").is_none() && of("").is_none());
    }

    #[test]
    fn names_and_revisions() {
        assert_eq!(escape("refs/pr/1 ä", false), "refs%2Fpr%2F1%20%C3%A4");
        assert_eq!(escape("1_Pooling/config.json", true), "1_Pooling/config.json");
        assert!(is_revision("refs/pr/1") && is_revision("v1.0+x") && !is_revision("a/../b") && !is_revision("a b"));
        assert!(is_inside("a/b.json") && !is_inside("a/./b") && !is_inside("nul\0"));
    }
}
