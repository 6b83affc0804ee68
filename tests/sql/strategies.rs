//! Strategies are honoured: how many transactions, statements and connections, and what is left of a bad input.

use std::cell::RefCell;

use batchcall::sql::{BatchConfig, Processed, RowStatus};
use batchcall::{BatchSize, CancelToken, Error, ErrorKind, Strategy};

use crate::place::{Product, product, products};

const ALL: [Strategy; 6] = [
    Strategy::SingleQuery,
    Strategy::Chunked,
    Strategy::Parallel,
    Strategy::Pipelined,
    Strategy::Optimistic,
    Strategy::OneByOne,
];

fn config(strategy: Strategy) -> BatchConfig {
    BatchConfig::new().strategy(strategy).batch_size(10).max_workers(3)
}

/// 100 products of which these places are refused by the table.
fn with_bad(bad: &[usize]) -> Vec<Product> {
    let mut rows = products(1..101);
    bad.iter().for_each(|place| rows[*place].stock = -1);
    rows
}

both! {
    fn each_strategy_writes_everything_in_its_number_of_chunks(place) {
        place.products();
        for (strategy, chunks) in ALL.into_iter().zip([1, 10, 10, 10, 1, 100]) {
            let table = place.db.table::<Product>("products").config(config(strategy));
            let written = table.insert(products(1..101)).unwrap();
            assert_eq!((written.inserted(), written.metrics().chunks), (100, chunks), "{strategy:?}");
            let found = table.get((1..101).rev()).unwrap();
            assert_eq!(found[99], Some(product(1)), "{strategy:?}");
            assert_eq!(table.update(products(1..101), ["stock"]).unwrap().updated(), 100, "{strategy:?}");
            assert_eq!(table.upsert(products(51..151), ["id"], ["stock"]).unwrap().inserted(), 50, "{strategy:?}");
            let computed = table.compute([3, 1, 999], |row| Ok(row.id)).unwrap();
            assert_eq!(*computed[0].as_ref().unwrap(), Some(3));
            assert_eq!(computed[2].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
            assert_eq!(table.delete(1..151).unwrap().deleted(), 150, "{strategy:?}");
        }
    }

    fn a_bad_row_takes_none_of_its_neighbours_down(place) {
        place.products();
        let bad = [0, 37, 38, 99];
        for strategy in ALL {
            let table = place.db.table::<Product>("products").config(config(strategy).continue_on_error(true));
            let written = table.insert(with_bad(&bad)).unwrap();
            assert_eq!((written.inserted(), written.failed()), (96, 4), "{strategy:?} {written}");
            let places: Vec<usize> = written.errors().iter().map(|error| error.index()).collect();
            assert_eq!(places, bad, "{strategy:?}");
            assert_eq!(written.errors()[1].error().kind(), ErrorKind::Rejected);
            assert_eq!(table.delete(1..101).unwrap().deleted(), 96);
        }
    }

    fn without_continue_on_error_the_bad_row_is_named_and_its_chunk_undone(place) {
        place.products();
        for (strategy, kept) in ALL.into_iter().zip([0, 30, 0, 0, 30, 37]) {
            let table = place.db.table::<Product>("products").config(config(strategy));
            let failure = table.insert(with_bad(&[37])).unwrap_err();
            assert_eq!(failure.error().record_index(), Some(37), "{strategy:?}");
            let written = failure.into_written();
            assert_eq!(written.statuses()[37], RowStatus::Failed, "{strategy:?}");
            let several = matches!(strategy, Strategy::Parallel | Strategy::Pipelined);
            if !several {
                assert_eq!(written.inserted(), kept, "{strategy:?} {written}");
            }
            assert_eq!(usize::try_from(place.count("products")).unwrap(), written.inserted(), "{strategy:?}");
            table.delete(1..101).unwrap();
        }
    }

    fn one_transaction_is_all_or_nothing(place) {
        place.products();
        let table = |go_on| {
            let config = config(Strategy::Chunked).one_transaction(true).continue_on_error(go_on);
            place.db.table::<Product>("products").config(config)
        };
        let failure = table(false).insert(with_bad(&[55])).unwrap_err();
        let written = failure.into_written();
        assert_eq!(place.count("products"), 0);
        assert_eq!(written.statuses()[0], RowStatus::RolledBack);
        assert_eq!(written.statuses()[55], RowStatus::Failed);
        assert_eq!(written.statuses()[99], RowStatus::NotRun);
        assert_eq!(table(true).insert(with_bad(&[55])).unwrap().inserted(), 99);
        assert_eq!(place.count("products"), 99);
    }

    fn one_transaction_on_several_connections_is_refused(place) {
        place.products();
        for strategy in [Strategy::Parallel, Strategy::Pipelined] {
            let table = place.db.table::<Product>("products").config(config(strategy).one_transaction(true));
            let failure = table.insert(products(1..3)).unwrap_err();
            assert_eq!(failure.error().kind(), ErrorKind::Invalid);
        }
        assert_eq!(place.count("products"), 0);
    }

    fn hooks_change_drop_and_fail_rows(place) {
        place.products();
        for strategy in ALL {
            let (seen, told) = (RefCell::new(Vec::new()), RefCell::new(0));
            let table = place.db.table::<Product>("products")
                .config(config(strategy).continue_on_error(true))
                .pre_process(|row| match row.id {
                    Some(3) => Ok(Processed::Drop),
                    Some(4) => Err(Error::new(ErrorKind::Rejected, "not four")),
                    Some(5) => Ok(Processed::Change(Product { name: "five".into(), ..row.clone() })),
                    _ => Ok(Processed::Keep),
                })
                .post_process(|row| Ok((row.id != Some(6)).then_some(row)))
                .on_error(|place, error| seen.borrow_mut().push((place, error.message().to_owned())))
                .on_progress(|progress| *told.borrow_mut() = progress.completed);
            let written = table.insert(products(1..21)).unwrap();
            assert_eq!((written.inserted(), written.count(RowStatus::Dropped), written.failed()), (18, 1, 1));
            assert_eq!(*seen.borrow(), [(3, "not four".to_owned())]);
            assert_eq!(*told.borrow(), 20);
            let found = table.get([5, 6]).unwrap();
            assert_eq!(found[0].as_ref().unwrap().name, "five");
            assert_eq!(found[1], None);
            table.delete(1..21).unwrap();
        }
    }

    fn a_cancelled_verb_says_what_was_not_run(place) {
        place.products();
        let token = CancelToken::new();
        let table = place.db.table::<Product>("products")
            .config(config(Strategy::Chunked).cancel_token(&token))
            .on_progress(|_| token.cancel());
        let failure = table.insert(products(1..1001)).unwrap_err();
        let written = failure.into_written();
        assert!(written.not_run() > 0);
        assert_eq!(written.inserted() + written.not_run(), 1000);
        assert_eq!(usize::try_from(place.count("products")).unwrap(), written.inserted());
    }

    fn sizes_by_name(place) {
        place.products();
        for (size, chunks) in [
            (BatchSize::Small, 12), (BatchSize::Medium, 3), (BatchSize::Large, 2), (BatchSize::XLarge, 1),
            (BatchSize::Auto, 1), (BatchSize::Fixed(7), 172),
        ] {
            let table = place.db.table::<Product>("products").config(BatchConfig::new().batch_size(size));
            assert_eq!(table.insert(products(1..1201)).unwrap().metrics().chunks, chunks, "{size:?}");
            table.delete(1..1201).unwrap();
        }
    }

    fn a_statement_runs_in_chunks_with_a_result_for_each_set(place) {
        place.create("t", "id $id, n int");
        for (strategy, kept) in ALL.into_iter().zip([0, 30, 0, 0, 30, 35]) {
            let sets: Vec<(i64, i64)> = (0..100).map(|n| (if n == 35 { 0 } else { n }, n)).collect();
            let sql = "INSERT INTO t (id, n) VALUES ($1, $2)";
            let results = place.db.execute_chunked(sql, &sets, &config(strategy)).unwrap();
            let done = results.iter().filter(|result| result.is_ok()).count();
            let several = matches!(strategy, Strategy::Parallel | Strategy::Pipelined);
            assert!(several || strategy == Strategy::Optimistic || done == kept, "{strategy:?} {done}");
            assert_eq!(results[35].as_ref().unwrap_err().record_index(), Some(35), "{strategy:?}");
            assert_eq!(usize::try_from(place.count("t")).unwrap(), done, "{strategy:?}");
            place.db.execute("DELETE FROM t", ()).unwrap();
            let results = place.db.execute_chunked(sql, &sets, &config(strategy).continue_on_error(true)).unwrap();
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 99, "{strategy:?}");
            place.db.execute("DELETE FROM t", ()).unwrap();
        }
    }

    fn figures_are_kept_and_suggest_something(place) {
        place.products();
        let table = place.db.table::<Product>("products").config(config(Strategy::OneByOne));
        let written = table.insert(products(1..201)).unwrap();
        assert!(written.metrics().recommendations()[0].contains("one by one"));
        assert_eq!(written.metrics().statements, 200);
        let kept = place.db.metrics();
        assert_eq!((kept.last().unwrap().operation, kept.last().unwrap().succeeded), ("insert", 200));
        assert!(kept.last().unwrap().rows_per_second() > 0.0);
    }
}
