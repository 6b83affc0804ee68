//! Where a worker takes its calls from: a list, or a stream of items.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Select, Sender, select};
use uuid::Uuid;

use super::outcome::{Ticket, call_id};
use super::stop::{Signal, Stop};
use crate::error::Result;

/// Where a worker takes its calls from.
pub(crate) trait Queue<S, T>: Sync {
    /// A call that was taken.
    type Call;

    /// Waits until there may be a call to take, so that nobody logs in for nothing. `false`: there
    /// will be none, or none may begin.
    fn wait(&self, stop: &Stop) -> bool;

    /// Takes a call, with the instant since which it has been waiting; `None` when somebody else was faster.
    fn take(&self, stop: &Stop) -> Option<(Self::Call, Ticket, Instant)>;

    /// Runs a call.
    fn run(&self, call: &Self::Call, session: &mut S) -> Result<T>;

    /// Raised when there is nothing left to take, for those who wait for a seat.
    fn exhausted(&self) -> &Signal;
}

/// The calls of a batch: groups of calls that share a closure.
pub(crate) struct Calls<'env, S, T> {
    groups: Vec<Group<'env, S, T>>,
    len: usize,
}

struct Group<'env, S, T> {
    first: usize,
    name: Option<Arc<str>>,
    calls: Box<dyn RunAt<S, T> + 'env>,
}

/// One or more calls: a list of a million items is one allocation and one closure, not a million.
trait RunAt<S, T>: Send + Sync {
    fn run(&self, offset: usize, session: &mut S) -> Result<T>;
}

struct Single<F>(F);

impl<S, T, F: Fn(&mut S) -> Result<T> + Send + Sync> RunAt<S, T> for Single<F> {
    fn run(&self, _: usize, session: &mut S) -> Result<T> {
        (self.0)(session)
    }
}

struct PerItem<I, F>(Vec<I>, F);

impl<S, T, I: Send + Sync, F: Fn(&mut S, &I) -> Result<T> + Send + Sync> RunAt<S, T> for PerItem<I, F> {
    fn run(&self, offset: usize, session: &mut S) -> Result<T> {
        (self.1)(session, &self.0[offset])
    }
}

impl<'env, S, T> Calls<'env, S, T> {
    pub(crate) fn new() -> Self {
        Self { groups: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push<F>(&mut self, name: Option<Arc<str>>, call: F)
    where
        F: Fn(&mut S) -> Result<T> + Send + Sync + 'env,
    {
        self.groups.push(Group { first: self.len, name, calls: Box::new(Single(call)) });
        self.len += 1;
    }

    pub(crate) fn extend<I, F>(&mut self, items: Vec<I>, call: F)
    where
        I: Send + Sync + 'env,
        F: Fn(&mut S, &I) -> Result<T> + Send + Sync + 'env,
    {
        let len = items.len();
        if len > 0 {
            self.groups.push(Group { first: self.len, name: None, calls: Box::new(PerItem(items, call)) });
            self.len += len;
        }
    }

    fn group(&self, index: usize) -> &Group<'env, S, T> {
        &self.groups[self.groups.partition_point(|group| group.first <= index) - 1]
    }

    pub(crate) fn ticket(&self, batch: Uuid, index: usize) -> Ticket {
        Ticket { index, name: self.group(index).name.clone(), id: call_id(batch, index) }
    }
}

/// The calls of a batch, or those of them that are run again.
pub(crate) struct List<'a, 'env, S, T> {
    calls: &'a Calls<'env, S, T>,
    selected: Option<&'a [usize]>,
    batch: Uuid,
    began: Instant,
    next: AtomicUsize,
    exhausted: Signal,
}

impl<'a, 'env, S, T> List<'a, 'env, S, T> {
    pub(crate) fn new(
        calls: &'a Calls<'env, S, T>,
        selected: Option<&'a [usize]>,
        batch: Uuid,
        began: Instant,
    ) -> Self {
        Self { calls, selected, batch, began, next: AtomicUsize::new(0), exhausted: Signal::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.selected.map_or(self.calls.len(), <[usize]>::len)
    }

    fn index(&self, place: usize) -> usize {
        self.selected.map_or(place, |selected| selected[place])
    }

    /// The place of a call in this list, from its index in the batch.
    pub(crate) fn place(&self, index: usize) -> usize {
        match self.selected {
            None => index,
            Some(selected) => {
                selected.binary_search(&index).expect("an outcome is of a call that was selected")
            }
        }
    }

    /// The ticket of the call at a place.
    pub(crate) fn ticket(&self, place: usize) -> Ticket {
        self.calls.ticket(self.batch, self.index(place))
    }
}

impl<S, T> Queue<S, T> for List<'_, '_, S, T> {
    type Call = usize;

    fn wait(&self, stop: &Stop) -> bool {
        self.next.load(Ordering::Relaxed) < self.len() && stop.reason().is_none()
    }

    fn take(&self, _: &Stop) -> Option<(usize, Ticket, Instant)> {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        if place + 1 >= self.len() && !self.exhausted.is_raised() {
            self.exhausted.raise();
        }
        (place < self.len()).then(|| (self.index(place), self.ticket(place), self.began))
    }

    fn run(&self, index: &usize, session: &mut S) -> Result<T> {
        let group = self.calls.group(*index);
        group.calls.run(*index - group.first, session)
    }

    fn exhausted(&self) -> &Signal {
        &self.exhausted
    }
}

/// An item on its way to a worker.
pub(crate) struct Item<I> {
    pub(crate) item: I,
    pub(crate) index: usize,
    pub(crate) taken: Instant,
}

/// Items that the caller's thread takes from an iterator as workers ask for them.
pub(crate) struct Items<'a, I, F> {
    items: Receiver<Item<I>>,
    call: &'a F,
    batch: Uuid,
    ended: Signal,
    exhausted: Signal,
}

/// The caller's end of [`Items`]: dropped when no item will come, also by a panic of the iterator.
pub(crate) struct Feed<'a, I, F> {
    sender: Option<Sender<Item<I>>>,
    items: &'a Items<'a, I, F>,
}

impl<'a, I, F> Items<'a, I, F> {
    pub(crate) fn new(items: Receiver<Item<I>>, call: &'a F, batch: Uuid) -> Self {
        Self { items, call, batch, ended: Signal::new(), exhausted: Signal::new() }
    }

    pub(crate) fn feed(&'a self, sender: Sender<Item<I>>) -> Feed<'a, I, F> {
        Feed { sender: Some(sender), items: self }
    }

    /// The items that no worker took.
    pub(crate) fn left(&self) -> impl Iterator<Item = (Ticket, Instant)> {
        self.items.try_iter().map(|item| (self.ticket(item.index), item.taken))
    }

    pub(crate) fn ticket(&self, index: usize) -> Ticket {
        Ticket { index, name: None, id: call_id(self.batch, index) }
    }

    /// Tells those who wait for a seat when nothing is left.
    fn note_end(&self) {
        if self.ended.is_raised() && self.items.is_empty() && !self.exhausted.is_raised() {
            self.exhausted.raise();
        }
    }
}

impl<I, F> Feed<'_, I, F> {
    pub(crate) fn sender(&self) -> &Sender<Item<I>> {
        self.sender.as_ref().expect("the sender is there until the feed is dropped")
    }
}

impl<I, F> Drop for Feed<'_, I, F> {
    fn drop(&mut self) {
        // First the signal, then the disconnect: who is woken by it finds the signal raised.
        self.items.ended.raise();
        self.sender.take();
        self.items.note_end();
    }
}

impl<S, T, I, F> Queue<S, T> for Items<'_, I, F>
where
    I: Send,
    F: Fn(&mut S, &I) -> Result<T> + Sync,
{
    type Call = I;

    fn wait(&self, stop: &Stop) -> bool {
        if stop.reason().is_some() {
            return false;
        }
        if !self.items.is_empty() {
            return true;
        }
        let deadline = stop.deadline().channel();
        let mut select = Select::new();
        select.recv(&self.items);
        select.recv(stop.halted().receiver());
        select.recv(stop.token().drain().receiver());
        select.recv(&deadline);
        // Ready without taking: an item must not be in the hands of a worker that gets no session.
        let first = select.ready();
        first == 0 && !(self.ended.is_raised() && self.items.is_empty())
    }

    fn take(&self, stop: &Stop) -> Option<(I, Ticket, Instant)> {
        let item = self.items.try_recv().ok().or_else(|| {
            select! {
                recv(self.items) -> item => item.ok(),
                recv(stop.halted().receiver()) -> _ => None,
                recv(stop.token().drain().receiver()) -> _ => None,
                recv(stop.deadline().channel()) -> _ => None,
            }
        });
        self.note_end();
        item.map(|Item { item, index, taken }| (item, self.ticket(index), taken))
    }

    fn run(&self, item: &I, session: &mut S) -> Result<T> {
        (self.call)(session, item)
    }

    fn exhausted(&self) -> &Signal {
        &self.exhausted
    }
}
