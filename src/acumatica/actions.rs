//! Actions, followed to their end.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::address;
use super::entity::Entity;
use super::session::Session;
use crate::engine::connect::Pause;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::{Method, Request};

/// The first and the longest wait between two looks at a running action.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LAST_LOOK: Duration = Duration::from_secs(5);

impl Session {
    /// Invokes an action on a record and waits until it is done: `record` names it by its keys or id,
    /// `parameters` may be `()` or `None`.
    ///
    /// A long-running action is looked after in this same session, as the server demands: until it is
    /// done other requests of the session on that form would fail. The deadline of the batch holds; an action
    /// that is still running then is in doubt.
    ///
    /// ```no_run
    /// # let client = batchcall::Acumatica::from_env()?;
    /// # let mut session = client.session()?;
    /// use serde_json::{Value, json};
    ///
    /// let order = json!({"OrderType": "SO", "OrderNbr": "SO005207"});
    /// session.invoke_action("SalesOrder", "ReleaseFromHold", &order, ())?;
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown action; else by the server's answer, at
    /// once or when the action ends.
    pub fn invoke_action(
        &mut self,
        entity: &str,
        action: &str,
        record: impl Serialize,
        parameters: impl Serialize,
    ) -> Result<()> {
        let below = format!("/{}", address::name("an action", action)?);
        let mut body = json!({ "entity": encode(&record, entity)?.into_json()? });
        let parameters = encode(&parameters, entity)?;
        if !parameters.is_empty() {
            body["parameters"] = parameters.into_json()?;
        }
        let mut request =
            self.entity_request(Method::POST, entity, &below, None)?.json(&body)?.operation("action");
        let answer = self.send(&mut request)?;
        if answer.status() != 202 {
            return Ok(()); // 204 and no location: done.
        }
        let followed = match answer.header("location") {
            Some(location) => {
                self.client.settings.base.follow(location).and_then(|status| self.follow(&request, status))
            }
            None => {
                Err(Error::new(ErrorKind::Protocol, "the action runs on, and the server does not say where"))
            }
        };
        followed.map_err(|error| {
            if has_ended(&error) {
                return error;
            }
            // It goes on whether or not we look: nobody knows how it ended, and its form is busy until then.
            self.distrust();
            request.label(error).with_delivery(Delivery::MaybeSent).with_resendable(false)
        })
    }

    /// Looks at a running action until it is done.
    fn follow(&mut self, action: &Request, status: String) -> Result<()> {
        let mut look = label_request(Request::new(Method::GET, status), action);
        let mut wait = FIRST_LOOK;
        loop {
            self.worker.pause(wait, Pause::Poll)?;
            if self.send(&mut look)?.status() != 202 {
                return Ok(());
            }
            wait = (wait * 2).min(LAST_LOOK);
        }
    }
}

/// Whether an error is what the action ended with, and not one of looking at it: that the server does not
/// know the action any more, or is too busy to say, tells nothing.
fn has_ended(error: &Error) -> bool {
    error.delivery() == Some(Delivery::Answered)
        && matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Conflict | ErrorKind::Server)
}

fn label_request(request: Request, action: &Request) -> Request {
    let request = request.header("Accept", "application/json").operation("action status");
    match action.entity_label() {
        Some(entity) => request.entity(entity),
        None => request,
    }
}

/// Anything that serde can write, as an entity; `()` and `None` as an empty one.
fn encode(value: &impl Serialize, entity: &str) -> Result<Entity> {
    if matches!(serde_json::to_value(value), Ok(Value::Null)) {
        return Ok(Entity::new());
    }
    Entity::encode(value).map_err(|error| error.with_entity(entity))
}
