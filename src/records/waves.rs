//! In which order records go out: priorities, then waves within each.
//!
//! A record that refers to another one goes in a later wave, and so does an operation on a record that an
//! earlier operation writes. What cannot be ordered is refused.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use uuid::Uuid;

use super::kind::OperationKind;
use super::operation::Operation;
use super::problem::Problem;
use super::record::{RecordId, Reference};

/// Some records of an operation.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) operation: usize,
    pub(crate) places: Places,
    /// Whether the operation refers to records, also to those of a higher priority.
    pub(crate) refers: bool,
}

/// Which records.
#[derive(Debug, Clone)]
pub(crate) enum Places {
    All(usize),
    Some(Vec<usize>),
}

impl Places {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All(len) => *len,
            Self::Some(places) => places.len(),
        }
    }

    pub(crate) fn get(&self, at: usize) -> usize {
        match self {
            Self::All(_) => at,
            Self::Some(places) => places[at],
        }
    }
}

/// What goes out together: nothing of the next stage begins before all of this one is over.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) priority: i32,
    pub(crate) wave: usize,
    pub(crate) shares: Vec<Share>,
}

/// A record, by operation and place.
pub(crate) type Spot = (usize, usize);

/// Where records are that references name.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// By the id of the operation, and by that of the one it was cut from: where the part begins, how long
    /// it is, and which operation that is.
    parts: HashMap<Uuid, Vec<(usize, usize, usize)>>,
}

impl Directory {
    pub(crate) fn new(operations: &[Operation]) -> Self {
        let mut parts: HashMap<_, Vec<_>> = HashMap::new();
        for (index, operation) in operations.iter().enumerate() {
            parts.entry(operation.id).or_default().push((0, operation.len(), index));
            if let Some(part) = operation.part_of {
                parts.entry(part.operation).or_default().push((part.offset, operation.len(), index));
            }
        }
        Self { parts }
    }

    pub(crate) fn find(&self, reference: Reference) -> Option<Spot> {
        let parts = self.parts.get(&reference.operation)?;
        let part = parts.iter().find(|(first, len, _)| (*first..first + len).contains(&reference.record))?;
        Some((part.2, reference.record - part.0))
    }
}

/// Orders the operations with the given indices, or says everything that is wrong with them together.
pub(crate) fn order(
    operations: &[Operation],
    group: &Range<usize>,
    directory: &Directory,
    problems: &mut Vec<Problem>,
) -> Vec<Stage> {
    let mut priorities: Vec<i32> = group.clone().map(|index| operations[index].priority).collect();
    priorities.sort_unstable_by(|a, b| b.cmp(a));
    priorities.dedup();
    let mut stages = Vec::new();
    for priority in priorities {
        let level: Vec<usize> =
            group.clone().filter(|&index| operations[index].priority == priority).collect();
        let mut graph = Graph::default();
        for &index in &level {
            graph.add_references(operations, group, index, directory, problems);
        }
        graph.add_order(operations, &level, problems);
        stages.extend(graph.waves(operations, &level, priority, problems));
    }
    stages
}

/// What waits for what, within one priority.
#[derive(Debug, Default)]
struct Graph {
    /// For each operation that refers to others: for each record the records that it waits for.
    references: HashMap<usize, HashMap<usize, Vec<Spot>>>,
    /// The operations that refer to any.
    refer: HashSet<usize>,
    /// For each operation: those that it waits for as a whole.
    after: HashMap<usize, Vec<usize>>,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Node {
    Record(usize, usize),
    Whole(usize),
}

impl Graph {
    fn add_references(
        &mut self,
        operations: &[Operation],
        group: &Range<usize>,
        index: usize,
        directory: &Directory,
        problems: &mut Vec<Problem>,
    ) {
        let operation = &operations[index];
        // The same values for all: what they refer to holds for every record.
        let mut shared = Vec::new();
        for value in operation.values.as_map().values() {
            Reference::each_in(value, &mut |reference| shared.push(reference));
        }
        let mut check = |reference: Reference, place: Option<usize>| {
            let found = directory.find(reference).filter(|(target, _)| group.contains(target));
            let wrong = match found {
                None => Some(format!(
                    "it refers to record {} of operation {}, which is not here",
                    reference.record, reference.operation
                )),
                Some((target, _)) => {
                    let target_is = &operations[target];
                    match target_is.kind {
                        OperationKind::Create | OperationKind::Upsert if !target_is.return_ids => {
                            Some(format!("it refers to operation {target}, whose ids are not wanted"))
                        }
                        OperationKind::Create | OperationKind::Upsert
                            if target_is.priority < operation.priority =>
                        {
                            Some(format!("it refers to operation {target}, whose priority is lower"))
                        }
                        OperationKind::Create | OperationKind::Upsert => None,
                        kind => {
                            Some(format!("it refers to operation {target}, a {kind} that makes no record"))
                        }
                    }
                }
            };
            if let Some(message) = wrong {
                let problem = Problem { record: place, ..Problem::new(message) };
                problems.push(problem.operation(index));
                return None;
            }
            found.filter(|(target, _)| operations[*target].priority == operation.priority)
        };
        let mut refers = !shared.is_empty();
        let shared: Vec<Spot> = shared.into_iter().filter_map(|reference| check(reference, None)).collect();
        let mut waits: HashMap<usize, Vec<Spot>> = HashMap::new();
        for place in 0..operation.len() {
            let mut found = Vec::new();
            if let Some(record) = operation.records.get(place) {
                for value in record.as_map().values() {
                    Reference::each_in(value, &mut |reference| found.push(reference));
                }
            }
            found.extend(operation.ids.get(place).and_then(RecordId::reference));
            refers |= !found.is_empty();
            let mut spots: Vec<Spot> =
                found.into_iter().filter_map(|reference| check(reference, Some(place))).collect();
            spots.extend(&shared);
            if !spots.is_empty() {
                waits.insert(place, spots);
            }
        }
        if refers {
            self.refer.insert(index);
        }
        if !waits.is_empty() {
            self.references.insert(index, waits);
        }
    }

    /// Operations on the same record keep their order; to delete and to write it at once is refused.
    fn add_order(&mut self, operations: &[Operation], level: &[usize], problems: &mut Vec<Problem>) {
        let mut models: HashMap<&str, Vec<usize>> = HashMap::new();
        for &index in level {
            models.entry(operations[index].model()).or_default().push(index);
        }
        for (_, same) in models.into_iter().filter(|(_, same)| same.len() > 1) {
            let mut by_id: HashMap<&RecordId, usize> = HashMap::new();
            let mut by_key: HashMap<(&[String], String), usize> = HashMap::new();
            for &index in &same {
                let operation = &operations[index];
                for (place, id) in operation.ids.iter().enumerate() {
                    let Some(earlier) = by_id.insert(id, index).filter(|&earlier| earlier != index) else {
                        continue;
                    };
                    let deletes = |index: usize| operations[index].kind == OperationKind::Delete;
                    if deletes(earlier) != deletes(index) {
                        let (first, second) =
                            if deletes(earlier) { ("deletes", "written") } else { ("writes", "deleted") };
                        let message = format!(
                            "id {id} is {second} here, and operation {earlier} {first} it in the same priority"
                        );
                        let problem = Problem::of_record(place, message).field("id");
                        problems.push(problem.operation(index));
                    }
                    self.wait_for(index, earlier);
                }
                if operation.kind == OperationKind::Upsert {
                    for place in 0..operation.len() {
                        let key = (operation.keys(), operation.key_of(place));
                        if let Some(earlier) = by_key.insert(key, index).filter(|&earlier| earlier != index) {
                            self.wait_for(index, earlier);
                        }
                    }
                }
            }
        }
    }

    fn wait_for(&mut self, index: usize, earlier: usize) {
        let after = self.after.entry(index).or_default();
        if after.last() != Some(&earlier) && !after.contains(&earlier) {
            after.push(earlier);
        }
    }

    fn is_plain(&self, operation: usize) -> bool {
        !self.references.contains_key(&operation) && !self.after.contains_key(&operation)
    }

    fn edges(&self, node: Node, operations: &[Operation]) -> Vec<Node> {
        match node {
            Node::Record(operation, place) => {
                let spots = self.references.get(&operation).and_then(|waits| waits.get(&place));
                let records = spots.into_iter().flatten().map(|&(target, place)| Node::Record(target, place));
                let wholes =
                    self.after.get(&operation).into_iter().flatten().map(|&earlier| Node::Whole(earlier));
                records.chain(wholes).collect()
            }
            Node::Whole(operation) if self.is_plain(operation) => Vec::new(),
            Node::Whole(operation) => {
                (0..operations[operation].len()).map(|place| Node::Record(operation, place)).collect()
            }
        }
    }

    fn waves(
        &self,
        operations: &[Operation],
        level: &[usize],
        priority: i32,
        problems: &mut Vec<Problem>,
    ) -> Vec<Stage> {
        let mut depths = Depths { graph: self, operations, known: HashMap::new() };
        let mut waves: Vec<Vec<Share>> = vec![Vec::new()];
        for &index in level {
            let len = operations[index].len();
            let refers = self.refer.contains(&index);
            if self.is_plain(index) {
                waves[0].push(Share { operation: index, places: Places::All(len), refers });
                continue;
            }
            let mut by_wave: HashMap<usize, Vec<usize>> = HashMap::new();
            for place in 0..len {
                match depths.of(Node::Record(index, place)) {
                    Ok(depth) => by_wave.entry(depth).or_default().push(place),
                    Err(cycle) => {
                        problems.push(Problem::of_record(place, cycle).operation(index));
                        return Vec::new();
                    }
                }
            }
            for (wave, places) in by_wave {
                if waves.len() <= wave {
                    waves.resize_with(wave + 1, Vec::new);
                }
                let places = if places.len() == len { Places::All(len) } else { Places::Some(places) };
                waves[wave].push(Share { operation: index, places, refers });
            }
        }
        let waves = waves.into_iter().enumerate().filter(|(_, shares)| !shares.is_empty());
        waves.map(|(wave, shares)| Stage { priority, wave, shares }).collect()
    }
}

/// How many waves come before a node, found depth first.
struct Depths<'a> {
    graph: &'a Graph,
    operations: &'a [Operation],
    /// `None` while a node's own are being looked at.
    known: HashMap<Node, Option<usize>>,
}

impl Depths<'_> {
    /// The wave of a node; the error is a cycle in words.
    fn of(&mut self, node: Node) -> Result<usize, String> {
        if let Some(Some(depth)) = self.known.get(&node) {
            return Ok(*depth);
        }
        // A list in place of recursion: chains may be as long as the input.
        self.known.insert(node, None);
        let mut path = vec![(node, self.graph.edges(node, self.operations), 0, 0)];
        while let Some((node, edges, next, depth)) = path.last_mut() {
            let Some(&edge) = edges.get(*next) else {
                let (node, depth) = (*node, *depth);
                self.known.insert(node, Some(depth));
                path.pop();
                if let Some((waiting, _, next, deepest)) = path.last_mut() {
                    *deepest = (*deepest).max(depth + usize::from(matches!(waiting, Node::Record(..))));
                    *next += 1;
                }
                continue;
            };
            match self.known.get(&edge) {
                Some(Some(known)) => {
                    *depth = (*depth).max(known + usize::from(matches!(node, Node::Record(..))));
                    *next += 1;
                }
                Some(None) => return Err(cycle(&path, edge)),
                None => {
                    self.known.insert(edge, None);
                    path.push((edge, self.graph.edges(edge, self.operations), 0, 0));
                }
            }
        }
        Ok(self.known.get(&node).copied().flatten().unwrap_or(0))
    }
}

/// How many records of a cycle are named.
const NAMED: usize = 6;

fn cycle(path: &[(Node, Vec<Node>, usize, usize)], back: Node) -> String {
    let name = |node: &Node| match node {
        Node::Record(operation, place) => format!("operation {operation}, record {place}"),
        Node::Whole(operation) => format!("operation {operation}"),
    };
    let round = path.iter().map(|(node, ..)| node).skip_while(|node| **node != back);
    let mut names: Vec<String> = round.take(NAMED).map(name).collect();
    names.push(if names.len() == NAMED { "..".into() } else { name(&back) });
    format!("the references go in a circle: {}", names.join(" -> "))
}

#[cfg(test)]
mod tests;
