//! Calls of different result types, at once.

use std::sync::{Mutex, PoisonError};

use super::batch::BatchCall;
use super::connect::Connect;
use crate::error::{Error, ErrorKind, Result};

/// Runs calls of different result types at once, each on a session of its own, and gives their results
/// as a tuple. For two to eight calls.
///
/// The compiler does not look into the tuple for the type of a closure's session, so it is named.
/// When the batch cannot be started, each result says why.
///
/// ```
/// use batchcall::join;
/// use batchcall::memory::{Memory, Session};
///
/// let memory = Memory::new().with_record("CUST001", "Alfa");
/// let (customer, count, missing) = join(
///     &memory,
///     (
///         |s: &mut Session| s.get("CUST001"),
///         |s: &mut Session| s.echo(3_usize),
///         |s: &mut Session| s.get("NOBODY"),
///     ),
/// );
/// assert_eq!(customer?, "Alfa");
/// assert_eq!(count?, 3);
/// assert!(missing.is_err());
/// # Ok::<(), batchcall::Error>(())
/// ```
pub fn join<C: Connect, J: Join<C>>(connect: &C, calls: J) -> J::Results {
    calls.run(connect)
}

/// A tuple of calls, for [`join`].
pub trait Join<C: Connect>: sealed::Sealed<C> {
    /// The tuple of their results.
    type Results;

    #[doc(hidden)]
    fn run(self, connect: &C) -> Self::Results;
}

mod sealed {
    pub trait Sealed<C> {}
}

/// Where a call of its own result type leaves its result.
struct Slot<T>(Mutex<Option<T>>);

impl<T> Slot<T> {
    fn put(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    fn into_result(self, outcome: Result<()>) -> Result<T> {
        outcome.and_then(|()| {
            let value = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
            value.ok_or_else(|| Error::new(ErrorKind::Other, "a call that succeeded left no result"))
        })
    }
}

macro_rules! join_tuples {
    ($(($($call:ident $type:ident $slot:ident),+))+) => {$(
        impl<Conn: Connect, $($call, $type),+> sealed::Sealed<Conn> for ($($call,)+)
        where
            $($call: Fn(&mut Conn::Session) -> Result<$type> + Send + Sync, $type: Send,)+
        {}

        impl<Conn: Connect, $($call, $type),+> Join<Conn> for ($($call,)+)
        where
            $($call: Fn(&mut Conn::Session) -> Result<$type> + Send + Sync, $type: Send,)+
        {
            type Results = ($(Result<$type>,)+);

            #[expect(non_snake_case, reason = "the calls are named after their types")]
            fn run(self, connect: &Conn) -> Self::Results {
                let ($($call,)+) = self;
                $(let $slot = Slot(Mutex::new(None));)+
                let executed = BatchCall::new(connect)
                    .max_concurrent([$(stringify!($slot)),+].len())
                    $(.call(|session| $call(session).map(|value| $slot.put(value))))+
                    .execute();
                let mut outcomes = executed.map(|report| report.into_results().into_iter());
                let mut next = || match &mut outcomes {
                    Ok(outcomes) => outcomes.next().unwrap_or(Ok(())),
                    Err(refused) => Err(Error::new(refused.kind(), refused.message())),
                };
                ($($slot.into_result(next()),)+)
            }
        }
    )+};
}

join_tuples! {
    (A TA a, B TB b)
    (A TA a, B TB b, C TC c)
    (A TA a, B TB b, C TC c, D TD d)
    (A TA a, B TB b, C TC c, D TD d, E TE e)
    (A TA a, B TB b, C TC c, D TD d, E TE e, F TF f)
    (A TA a, B TB b, C TC c, D TD d, E TE e, F TF f, G TG g)
    (A TA a, B TB b, C TC c, D TD d, E TE e, F TF f, G TG g, H TH h)
}
