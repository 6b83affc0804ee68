//! Signing in and out with name and password, and finding the session of a request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::errors;
use super::session::{SeatRefusal, Session};
use super::site::Site;
use crate::sandbox::history::Refusal;
use crate::sandbox::http::{Head, Request, Response, form};

/// The cookie that holds the session. A strict client drops `.ASPXAUTH` over plain HTTP, as it is `secure`.
const COOKIE: &str = "ASP.NET_SessionId";

const LIMIT: &str = "The number of concurrent API logins has exceeded the limit of the license.";

impl Site {
    pub(super) fn login(&self, request: &Request) -> Response {
        if request.head.method != "POST" {
            return errors::message(405, "The requested resource does not support http method 'GET'.");
        }
        let Some(credentials) = Credentials::read(request) else {
            self.recorder.refused(Refusal::Malformed);
            return errors::model_state("The request body should not be empty.");
        };
        if !self.is_right(&credentials.name, &credentials.password, credentials.tenant.as_deref()) {
            self.recorder.refused(Refusal::Credentials);
            // Not a 401: HTTP 500 is what a live server answers (recorded traffic 2023).
            return errors::exception("PX.Data.PXException", "Error: Invalid credentials. Please try again.");
        }
        if let Some(session) = request.head.cookie(COOKIE).and_then(|id| self.sessions.find(id)) {
            // Signing in again within a session keeps the seat.
            return self.signed_in(&session);
        }
        let is_view_only =
            self.settings.view_only.iter().any(|name| name.eq_ignore_ascii_case(&credentials.name));
        match self.sessions.open(is_view_only) {
            Some(session) => self.signed_in(&session),
            None => self.no_seat(),
        }
    }

    pub(super) fn logout(&self, request: &Request) -> Response {
        if let Some(id) = self.session_id(&request.head) {
            self.sessions.close(&id);
        }
        let expired = "expires=Tue, 12-Oct-1999 04:00:00 GMT; path=/; HttpOnly";
        Response::new(204)
            .header("Cache-Control", "no-cache")
            .header("Set-Cookie", format!(".ASPXAUTH=; {expired}; SameSite=None; secure"))
            .header("Set-Cookie", format!("{COOKIE}=; {expired}; SameSite=Lax"))
    }

    /// Whether name, password and tenant are right; a server with one tenant needs none.
    pub(super) fn is_right(&self, name: &str, password: &str, tenant: Option<&str>) -> bool {
        let knows = self.settings.users.iter().any(|(n, p)| n.eq_ignore_ascii_case(name) && p == password);
        knows && tenant.is_none_or(|tenant| tenant.eq_ignore_ascii_case(&self.settings.tenant))
    }

    fn signed_in(&self, session: &Session) -> Response {
        let mut response = Response::new(204).header("Cache-Control", "no-cache");
        response.headers.extend(self.cookies(session));
        response
    }

    /// The refusal of a login, or of the first request with a bearer token.
    pub(super) fn no_seat(&self) -> Response {
        self.recorder.refused(Refusal::Seats);
        match self.settings.seat_refusal {
            SeatRefusal::TooManyRequests => errors::message(429, LIMIT),
            SeatRefusal::LoginLimit => {
                let mut body = errors::body("PX.Data.PXException", "API Login Limit");
                body["stackTrace"] = "   at PX.Data.PXLicenseHelper.CheckApiUsersLimits(String company, String login)\r\n   at \
                                      PX.Api.ContractBased.SystemContracts.AuthController.Login(Credentials credentials)"
                    .into();
                Response::json(500, &body)
            }
            SeatRefusal::Redirect => {
                let text = utf8_percent_encode(LIMIT, NON_ALPHANUMERIC);
                let base = &self.settings.base_path;
                let to =
                    format!("{base}/Frames/Error.aspx?exceptionID=0&typeID=error&errorcode=0&message={text}");
                Response::html(302, "Object moved").header("Location", to)
            }
            SeatRefusal::UnauthorizedAfterLogin => {
                // A session that nobody knows: 204 now, 401 on everything after it.
                let id = self.sessions.random(24);
                let mut response = Response::new(204).header("Cache-Control", "no-cache");
                response.headers.extend(self.cookies_of(&id));
                response
            }
        }
    }

    pub(super) fn cookies(&self, session: &Session) -> Vec<(&'static str, String)> {
        self.cookies_of(&session.id)
    }

    /// The cookies as recorded in 2023, most of them twice.
    fn cookies_of(&self, id: &str) -> Vec<(&'static str, String)> {
        let in_three_days = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3 * 86_400));
        let ticket = self.sessions.random(64);
        let tenant = &self.settings.tenant;
        let lines = [
            format!("{COOKIE}={id}; path=/; HttpOnly; SameSite=Lax"),
            format!(".ASPXAUTH={ticket}; path=/; secure; HttpOnly; SameSite=None"),
            format!("UserBranch=16; expires={in_three_days}; path=/"),
            format!("Locale=Culture=en-US&TimeZone=GMTM0800A; expires={in_three_days}; path=/"),
            format!("CompanyID={tenant}; expires={in_three_days}; path=/"),
            "requestid=0; path=/".to_owned(),
            "requeststat=+st:116+sc:~/entity/auth/login+start:0+tg:; path=/".to_owned(),
        ];
        let twice = lines.iter().take(5).cloned().collect::<Vec<_>>();
        lines.into_iter().chain(twice).map(|line| ("Set-Cookie", line)).collect()
    }

    /// The id of the session that the request names, by cookie or by token.
    pub(super) fn session_id(&self, head: &Head) -> Option<String> {
        match head.cookie(COOKIE) {
            Some(id) => Some(id.to_owned()),
            None => self.session_of_token(head),
        }
    }

    /// The session of a request, and whether it was opened for it; or the answer that says why there is
    /// none.
    pub(super) fn session_of(&self, head: &Head) -> Result<(Arc<Session>, bool), Response> {
        if let Some(token) = head.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
            return self.session_of_bearer(token.trim(), head.cookie(COOKIE));
        }
        let session = head.cookie(COOKIE).and_then(|id| self.sessions.find(id));
        session.map(|session| (session, false)).ok_or_else(errors::unauthorized)
    }
}

/// The body of a login, JSON or form.
struct Credentials {
    name: String,
    password: String,
    tenant: Option<String>,
}

impl Credentials {
    fn read(request: &Request) -> Option<Self> {
        let is_form =
            request.head.header("content-type").is_some_and(|kind| kind.contains("x-www-form-urlencoded"));
        let body = std::str::from_utf8(&request.body).ok()?;
        let fields: Vec<(String, String)> = if is_form {
            form(body)
        } else {
            let value: Value = serde_json::from_str(body).ok()?;
            value
                .as_object()?
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect()
        };
        let find = |name: &str| {
            fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let tenant = match (find("tenant"), find("company")) {
            // Both at once do not work (issue 19 of the vendor's C# client).
            (Some(_), Some(_)) => Some(String::from("\u{0}")),
            (tenant, company) => tenant.or(company).filter(|tenant| !tenant.is_empty()),
        };
        Some(Self { name: find("name")?, password: find("password")?, tenant })
    }
}
