//! A store that answers as a test says.

use std::sync::Mutex;

use batchcall::{
    Answer, Applied, Capabilities, Chunk, Connect, OperationKind, Record, RecordId, RecordStore, Result,
    Worker,
};

type Read = Box<dyn Fn(&[RecordId]) -> Result<Vec<Option<Record>>> + Send + Sync>;
type Say = Box<dyn Fn(usize, &Chunk<'_>) -> Result<Answer> + Send + Sync>;

/// A store that answers as a test says, and remembers what it was sent.
pub(crate) struct Fake {
    capabilities: Capabilities,
    say: Say,
    read: Option<Read>,
    pub(crate) seen: Mutex<Vec<Seen>>,
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) kind: OperationKind,
    pub(crate) places: Vec<usize>,
}

impl Fake {
    /// `say` is given the number of the request, from 0.
    pub(crate) fn new(
        capabilities: Capabilities,
        say: impl Fn(usize, &Chunk<'_>) -> Result<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self { capabilities, say: Box::new(say), read: None, seen: Mutex::default() }
    }

    /// A store that can be read, too.
    pub(crate) fn reading(
        mut self,
        read: impl Fn(&[RecordId]) -> Result<Vec<Option<Record>>> + Send + Sync + 'static,
    ) -> Self {
        self.capabilities = self.capabilities.reads(true);
        self.read = Some(Box::new(read));
        self
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn answer(&self, chunk: &Chunk<'_>) -> Result<Answer> {
        let number = {
            let mut seen = self.seen.lock().unwrap();
            let places = (0..chunk.len()).map(|at| chunk.place(at)).collect();
            seen.push(Seen { kind: chunk.kind(), places });
            seen.len() - 1
        };
        (self.say)(number, chunk)
    }
}

/// Everything is fine.
pub(crate) fn fine(chunk: &Chunk<'_>) -> Answer {
    let applied = |at: usize| match chunk.kind() {
        OperationKind::Create => Applied::Created((chunk.place(at) + 1).into()),
        OperationKind::Delete => Applied::Deleted,
        _ => Applied::Updated,
    };
    (0..chunk.len()).map(|at| Ok(applied(at))).collect()
}

impl Connect for Fake {
    type Session = ();

    fn connect(&self, _: &Worker) -> Result<()> {
        Ok(())
    }
}

impl RecordStore for Fake {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn create(&self, (): &mut (), chunk: &Chunk<'_>) -> Result<Answer> {
        self.answer(chunk)
    }

    fn update(&self, (): &mut (), chunk: &Chunk<'_>) -> Result<Answer> {
        self.answer(chunk)
    }

    fn update_each(&self, (): &mut (), chunk: &Chunk<'_>) -> Result<Answer> {
        self.answer(chunk)
    }

    fn delete(&self, (): &mut (), chunk: &Chunk<'_>) -> Result<Answer> {
        self.answer(chunk)
    }

    fn read(&self, (): &mut (), _: &str, ids: &[RecordId], _: &[&str]) -> Result<Vec<Option<Record>>> {
        self.read.as_ref().unwrap()(ids)
    }

    fn upsert(&self, (): &mut (), chunk: &Chunk<'_>) -> Result<Answer> {
        self.answer(chunk)
    }
}
