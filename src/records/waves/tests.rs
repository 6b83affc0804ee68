use super::*;
use serde_json::json;

/// For each stage the places of each operation in it.
type Stages = Vec<Vec<(usize, Vec<usize>)>>;

fn ordered(operations: &[Operation]) -> Result<Stages, Vec<String>> {
    let mut problems = Vec::new();
    let group = 0..operations.len();
    let stages = order(operations, &group, &Directory::new(operations), &mut problems);
    if !problems.is_empty() {
        return Err(problems.iter().map(Problem::to_string).collect());
    }
    Ok(stages
        .into_iter()
        .map(|stage| {
            let mut shares: Vec<_> = stage
                .shares
                .into_iter()
                .map(|share| {
                    (share.operation, (0..share.places.len()).map(|at| share.places.get(at)).collect())
                })
                .collect();
            shares.sort();
            shares
        })
        .collect())
}

#[test]
fn priorities_come_first_and_are_stable() {
    let make = |priority| Operation::create("m", json!({"a": 1})).unwrap().priority(priority);
    let stages = ordered(&[make(0), make(5), make(0), make(-1)]).unwrap();
    assert_eq!(stages, [vec![(1, vec![0])], vec![(0, vec![0]), (2, vec![0])], vec![(3, vec![0])]]);
}

#[test]
fn references_make_waves_also_within_an_operation() {
    let mut tree = Operation::create("m", json!([{"a": 1}, {"a": 2}, {"a": 3}])).unwrap();
    let (first, second) = (tree.reference(1), tree.reference(0));
    tree.records[0].insert("parent", first.to_json());
    tree.records[2].insert("parent", second.to_json());
    let leaf = Operation::create("m", json!({"p": [[6, 0, [tree.reference(2)]]]})).unwrap();
    let stages = ordered(&[leaf, tree]).unwrap();
    assert_eq!(stages, [vec![(1, vec![1])], vec![(1, vec![0])], vec![(1, vec![2])], vec![(0, vec![0])]]);
}

#[test]
fn operations_on_the_same_record_keep_their_order() {
    let a = Operation::update("m", [1, 2], json!({"x": 1})).unwrap();
    let b = Operation::update_each("m", json!([{"id": 2, "x": 2}])).unwrap();
    let c = Operation::update("n", [2], json!({"x": 3})).unwrap();
    let d = Operation::upsert("m", ["k"], json!([{"k": 1}])).unwrap();
    let e = Operation::upsert("m", ["k"], json!([{"k": 1, "x": 2}])).unwrap();
    let stages = ordered(&[a, b, c, d, e]).unwrap();
    assert_eq!(stages, [vec![(0, vec![0, 1]), (2, vec![0]), (3, vec![0])], vec![(1, vec![0]), (4, vec![0])]]);
}

#[test]
fn to_write_and_to_delete_a_record_in_one_priority_is_refused() {
    let write = Operation::update("m", [1, 2], json!({"x": 1})).unwrap();
    let delete = Operation::delete("m", [3, 2]).unwrap();
    let problems = ordered(&[write.clone(), delete.clone()]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("operation 1, record 1, field id: id 2 is deleted here"), "{problems:?}");
    assert_eq!(ordered(&[delete.clone(), write.clone()]).unwrap_err().len(), 1);
    assert_eq!(ordered(&[write, delete.priority(-1)]).unwrap().len(), 2);
}

#[test]
fn what_cannot_be_ordered_is_refused() {
    let mut a = Operation::create("m", json!([{"x": 1}, {"x": 2}])).unwrap();
    let b = Operation::create("m", json!({"p": a.reference(1)})).unwrap();
    let to_b = b.reference(0).to_json();
    a.records[1].insert("q", to_b);
    let problems = ordered(&[a, b]).unwrap_err();
    assert!(
        problems[0].contains("circle: operation 0, record 1 -> operation 1, record 0 -> operation 0"),
        "{problems:?}"
    );

    let low = Operation::create("m", json!({"x": 1})).unwrap();
    let high = Operation::create("m", json!({"p": low.reference(0)})).unwrap().priority(1);
    assert!(ordered(&[low, high.clone()]).unwrap_err()[0].contains("priority is lower"));
    assert!(ordered(&[high]).unwrap_err()[0].contains("not here"));
    let gone = Operation::delete("m", [1]).unwrap();
    let child = Operation::create("m", json!([{"x": 1}, {"p": gone.reference(0)}, {"p": gone.reference(9)}]))
        .unwrap();
    assert_eq!(ordered(&[gone, child]).unwrap_err().len(), 2);
}

#[test]
fn references_to_an_operation_that_was_split_find_its_parts() {
    let whole = Operation::create("m", vec![json!({"a": 1}); 4]).unwrap();
    let child = Operation::create("m", json!({"p": whole.reference(3)})).unwrap();
    let mut operations = whole.split(2).unwrap();
    operations.push(child);
    let stages = ordered(&operations).unwrap();
    assert_eq!(stages.len(), 2);
    assert_eq!(Directory::new(&operations).find(whole.reference(3).reference().unwrap()), Some((1, 1)));
}

#[test]
fn a_chain_as_long_as_the_input_is_ordered() {
    let mut chain = Operation::create("m", vec![json!({"a": 1}); 20_000]).unwrap();
    for place in 0..19_999 {
        let next = chain.reference(place + 1).to_json();
        chain.records[place].insert("next", next);
    }
    assert_eq!(ordered(&[chain]).unwrap().len(), 20_000);
}
