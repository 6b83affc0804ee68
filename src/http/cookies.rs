//! The cookies of one session, kept by us: an agent's own jar would be shared by its clones, and a strict
//! jar drops the `secure` sign-in cookie over plain http.

/// The cookies that make a session.
#[derive(Clone, Default)]
pub(crate) struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Takes in a `Set-Cookie` line. Most lines come twice (recorded traffic of 2023).
    pub(crate) fn set(&mut self, line: &str) {
        let mut parts = line.split(';');
        // The value may hold `=`: `Locale=Culture=en-US&TimeZone=GMTM0800A`.
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let (name, value) = (name.trim(), value.trim());
        // Acumatica's copy of the last request's server time: not part of the session.
        if name.is_empty() || name == "requeststat" {
            return;
        }
        self.0.retain(|(known, _)| known != name);
        let expired = parts.any(|attribute| is_over(attribute.trim()));
        if !expired && !value.is_empty() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The `Cookie` header.
    pub(crate) fn header(&self) -> String {
        let mut header = String::new();
        for (name, value) in &self.0 {
            let separator = if header.is_empty() { "" } else { "; " };
            header.extend([separator, name, "=", value]);
        }
        header
    }
}

/// Whether a cookie attribute says that the cookie is to be removed.
fn is_over(attribute: &str) -> bool {
    let Some((name, value)) = attribute.split_once('=') else { return false };
    if name.eq_ignore_ascii_case("max-age") {
        return value.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0);
    }
    name.eq_ignore_ascii_case("expires")
        && httpdate::parse_http_date(&value.replace('-', " "))
            .is_ok_and(|at| at <= std::time::SystemTime::now())
}

/// Shows names alone: a session cookie is as good as a password.
impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_cookies_are_kept_once_each_and_go_out_whole() {
        let mut cookies = Cookies::default();
        for _ in 0..2 {
            cookies.set(".ASPXAUTH=AB01; path=/; secure; HttpOnly; SameSite=None");
            cookies.set("ASP.NET_SessionId=xyz; path=/; HttpOnly; SameSite=Lax");
            cookies.set("Locale=Culture=en-US&TimeZone=GMTM0800A; path=/");
            cookies.set("requeststat=+st:116+sc:~/entity/auth/login; path=/");
        }
        let header = cookies.header();
        assert_eq!(header, ".ASPXAUTH=AB01; ASP.NET_SessionId=xyz; Locale=Culture=en-US&TimeZone=GMTM0800A");
        assert!(!format!("{cookies:?}").contains("AB01"));
    }

    #[test]
    fn a_logout_expires_them() {
        for over in
            ["expires=Tue, 12-Oct-1999 07:00:00 GMT", "Max-Age=0", "expires=Tue, 12 Oct 1999 07:00:00 GMT"]
        {
            let mut cookies = Cookies::default();
            cookies.set("a=1");
            cookies.set(&format!("a=gone; path=/; {over}"));
            assert!(cookies.is_empty(), "{over}");
        }
        let mut cookies = Cookies::default();
        cookies.set("CompanyID=Company; expires=Fri, 31-Dec-2100 07:00:00 GMT; path=/");
        assert_eq!(cookies.header(), "CompanyID=Company");
    }

    #[test]
    fn lines_that_are_no_cookies_are_passed_over() {
        let mut cookies = Cookies::default();
        for line in ["", ";", "novalue", "=x", "  =  ; a=b"] {
            cookies.set(line);
        }
        assert!(cookies.is_empty());
    }
}
