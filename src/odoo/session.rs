//! A session: sends a call as who it is, signs in again when it has expired, reads refusals.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::args::{Args, Call};
use super::client::{Client, Conversation};
use super::context::Context;
use super::protocol::Protocol;
use super::refusal::Remedy;
use super::rpc::{Caller, Reply};
use super::{json2, rpc};
use crate::engine::connect::{Interrupt, Pause, Worker};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::{Answer, Request};

/// A session on an Odoo server.
///
/// One that expires signs in again, once for each call. When it is dropped it goes back to its client.
#[derive(Debug)]
pub struct Session {
    pub(super) client: Arc<Client>,
    conversation: Option<Conversation>,
    worker: Worker,
    context: Context,
}

/// What became of a call, and whether an earlier attempt of it may have been applied.
pub(super) struct Ended {
    pub(super) result: Result<Value>,
    pub(super) after_loss: bool,
}

impl Session {
    pub(super) fn new(client: Arc<Client>, conversation: Conversation, worker: &Worker) -> Self {
        let context = client.settings.context.clone();
        Self { client, conversation: Some(conversation), worker: worker.clone(), context }
    }

    pub(super) fn interrupt(&self) -> Interrupt {
        match &self.conversation {
            Some(conversation) => conversation.wire.interrupt(),
            None => Box::new(|| {}),
        }
    }

    /// Runs calls with further keys of the context.
    ///
    /// ```no_run
    /// # let client = batchcall::Odoo::from_env()?;
    /// # let mut session = client.session()?;
    /// use batchcall::odoo::{Context, Domain};
    ///
    /// let french = Context::new().lang("fr_FR");
    /// let names = session.with_context(french, |session| {
    ///     session.search_read("product.template", Domain::all(), ["name"])
    /// })?;
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn with_context<R>(&mut self, context: impl Borrow<Context>, run: impl FnOnce(&mut Self) -> R) -> R {
        let inner = self.context.clone().and(context.borrow());
        let outer = std::mem::replace(&mut self.context, inner);
        let result = run(self);
        self.context = outer;
        result
    }

    /// Gives the session back to its client and says how that went.
    pub(super) fn close(mut self) -> Result<()> {
        self.release()
    }

    fn release(&mut self) -> Result<()> {
        match self.conversation.take() {
            Some(conversation) => self.client.give_back(conversation, self.worker.time_to_close()),
            None => Ok(()),
        }
    }

    pub(super) fn conversation(&mut self) -> &mut Conversation {
        self.conversation.as_mut().expect("a session has a conversation until it is released")
    }

    /// Waits, and is woken by everything that ends the batch.
    pub(super) fn pause(&self, wait: Duration, why: Pause) -> Result<()> {
        self.worker.pause(wait, why)?;
        self.worker.count_retry();
        Ok(())
    }

    /// Calls a method of a model.
    ///
    /// ```no_run
    /// # let client = batchcall::Odoo::from_env()?;
    /// # let mut session = client.session()?;
    /// use batchcall::odoo::Args;
    ///
    /// session.call("sale.order", "action_confirm", Args::ids([7, 8]))?;
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for arguments that protocols would read differently, before
    /// anything is sent; else by the server's answer, see the [module](super).
    pub fn call(&mut self, model: &str, method: &str, args: impl Into<Args>) -> Result<Value> {
        self.exchange(model, method, (&args.into()).into()).result
    }

    /// Sends a call until there is an answer that stands.
    pub(super) fn exchange(&mut self, model: &str, method: &str, call: Call<'_>) -> Ended {
        let mut after_loss = false;
        let result = self.try_exchange(model, method, call, &mut after_loss);
        Ended { result, after_loss }
    }

    fn try_exchange(
        &mut self,
        model: &str,
        method: &str,
        call: Call<'_>,
        after_loss: &mut bool,
    ) -> Result<Value> {
        check_name("model", model).and_then(|()| check_name("method", method))?;
        call.check().map_err(|error| error.with_operation(method.to_owned()).with_entity(model))?;
        let context = self.context.clone().and(call.args().own_context());
        let mut names = self.client.names.of(model, method);
        let (mut signed_in, mut learned) = (false, false);
        let mut waits = None;
        let mut attempts = 0;
        loop {
            let (request, id) = self.request(model, method, call, &context, names.as_deref())?;
            let answer = self.conversation().wire.send(&request)?;
            *after_loss |= answer.is_after_loss();
            attempts += answer.attempts();
            let refusal = match self.read_answer(&answer, &request, id)? {
                Reply::Result(value) => return Ok(value),
                Reply::Refusal(refusal) => refusal,
            };
            let remedy = refusal.remedy(answer.status());
            let missing = refusal.missing_argument().map(str::to_owned);
            let error = refusal.into_error(&answer, &request, model, method).with_attempts(attempts);
            match remedy {
                Remedy::SignIn if !signed_in => {
                    signed_in = true;
                    self.sign_in_again(&request)?;
                }
                Remedy::CheckCredentials if !signed_in => {
                    signed_in = true;
                    self.check_credentials(&answer, &request, error)?;
                }
                Remedy::LearnNames if !learned => {
                    learned = true;
                    match self.learn_names(model, method, call, names.as_deref(), missing) {
                        Some(real) => names = Some(real),
                        None => return Err(error),
                    }
                }
                Remedy::Again => {
                    let policy = &self.client.settings.retry;
                    let waits = waits.get_or_insert_with(|| policy.throttled_backoff());
                    let Some(wait) = waits.next() else { return Err(error) };
                    if self.pause(wait, Pause::Retry).is_err() {
                        return Err(error);
                    }
                }
                _ => return Err(error),
            }
        }
    }

    fn request(
        &mut self,
        model: &str,
        method: &str,
        call: Call<'_>,
        context: &Context,
        names: Option<&[String]>,
    ) -> Result<(Request, u64)> {
        let client = Arc::clone(&self.client);
        let (base, id) = (&client.settings.base, client.next_id());
        let conversation = self.conversation();
        let called = (model, method);
        let request = match conversation.protocol {
            Protocol::Json2 => json2::call(base, client.key()?, called, call, context, names)?,
            Protocol::WebSession => {
                rpc::call_kw(base, called, call, context, id)?.header("Cookie", conversation.cookies.header())
            }
            Protocol::JsonRpc => {
                let database = client.settings.database.as_deref().unwrap_or_default();
                let caller = Caller { database, uid: conversation.uid, secret: client.secret()? };
                rpc::execute_kw(base, &caller, called, call, context, id)?
            }
        };
        let entity = match call.args().record_ids() {
            Some([id]) => format!("{model}({id})"),
            _ => model.to_owned(),
        };
        let request = request.nature(call.args().nature()).operation(method.to_owned()).entity(entity);
        let request = match call.args().own_timeout() {
            Some(timeout) => request.timeout(timeout),
            None => request,
        };
        Ok((request, id))
    }

    fn read_answer(&mut self, answer: &Answer, request: &Request, id: u64) -> Result<Reply> {
        let conversation = self.conversation();
        if conversation.protocol == Protocol::WebSession {
            answer.set_cookies().for_each(|line| conversation.cookies.set(line));
        }
        match conversation.protocol {
            Protocol::Json2 => json2::read(answer, request),
            Protocol::WebSession | Protocol::JsonRpc => rpc::read(answer, request, id),
        }
    }

    /// Opens the session anew. An error is one of a call that was not looked at.
    fn sign_in_again(&mut self, request: &Request) -> Result<()> {
        let client = Arc::clone(&self.client);
        let signed_in = client.log_in(self.conversation());
        match signed_in {
            Ok(asked) => {
                if asked {
                    self.worker.count_login();
                }
                Ok(())
            }
            Err(error) => {
                if error.kind() == ErrorKind::Auth {
                    self.worker.end_batch(&error);
                }
                Err(request.label(unsent(&error)))
            }
        }
    }

    /// Access was denied: because the credentials no longer hold, which ends the batch, or by the method
    /// itself, whose error then stands.
    fn check_credentials(&mut self, answer: &Answer, request: &Request, error: Error) -> Result<()> {
        match self.conversation().protocol {
            // 401: nothing else can be meant.
            Protocol::Json2 if answer.status() == 401 => {
                self.client.bar(&error);
                self.worker.end_batch(&error);
                Err(error)
            }
            Protocol::JsonRpc => {
                self.client.doubt_credentials();
                self.sign_in_again(request)?;
                Err(error)
            }
            _ => Err(error),
        }
    }

    /// The names that the method gives its parameters: by its documentation, else the one that the
    /// server's message names.
    fn learn_names(
        &mut self,
        model: &str,
        method: &str,
        call: Call<'_>,
        tried: Option<&[String]>,
        missing: Option<String>,
    ) -> Option<Vec<String>> {
        let ours: Vec<String> = match tried {
            Some(names) => names.to_vec(),
            None => call.positional_names().map(str::to_owned).collect(),
        };
        if ours.is_empty() {
            return None;
        }
        let client = Arc::clone(&self.client);
        let request = json2::documentation(&client.settings.base, client.key().ok()?, model);
        let answer = self.conversation().wire.send(&request).ok();
        let documented = answer.and_then(|answer| json2::parameters(&answer, method));
        let real =
            documented.filter(|names| names.len() >= ours.len()).or_else(|| match ours.as_slice() {
                [_] => missing.map(|name| vec![name]),
                _ => None,
            })?;
        let real: Vec<String> = real.into_iter().take(ours.len()).collect();
        if real == ours {
            return None;
        }
        client.names.learn(model, method, real.clone());
        Some(real)
    }
}

/// The name of a model or method, which becomes a part of an address.
fn check_name(what: &str, name: &str) -> Result<()> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    if fits && !name.is_empty() && !name.starts_with('.') && !name.contains("..") {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Invalid, format!("{name:?} is no name of a {what}")))
    }
}

/// What a failed login means for the call that needed it: it was not run.
fn unsent(error: &Error) -> Error {
    let told = Error::new(error.kind(), format!("could not sign in again: {}", error.message()))
        .with_delivery(Delivery::NotSent);
    let told = match error.retry_after() {
        Some(wait) => told.with_retry_after(wait),
        None => told,
    };
    match error.status() {
        Some(status) => told.with_status(status),
        None => told,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_the_address() {
        for good in ["res.partner", "x_model", "account.move.line", "search_read", "_write"] {
            assert!(check_name("model", good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../web", "a/b", "a?b", "a b", "a%2fb", "a\nb", "ä"] {
            assert!(check_name("model", bad).is_err(), "{bad:?}");
        }
    }
}
