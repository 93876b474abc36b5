//! What a store promises, run for each engine; and what only one of them can be asked.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod place;
mod postgres;
mod sqlite;
mod suite;

/// Runs each sentence of the suite on both engines, each on a database of its own.
macro_rules! on_both_engines {
    ($($sentence:ident,)*) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                crate::suite::$sentence(crate::place::Place::postgres()).await;
            })*
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                crate::suite::$sentence(crate::place::Place::sqlite()).await;
            })*
        }
    };
}

on_both_engines! {
    an_empty_database_becomes_a_log_at_revision_0,
    a_revision_reads_back_as_it_was_written,
    concurrent_writers_make_revisions_in_order_without_gaps_and_a_reader_misses_none,
    a_stale_writer_loses_with_nothing_written,
    a_name_is_unique_among_its_kind,
    names_move_within_one_revision_in_any_order,
    what_is_deleted_can_be_made_again,
    a_change_of_what_is_not_there_is_refused_whole,
    a_change_id_makes_one_revision,
    racers_with_one_change_id_make_one_revision,
    a_restart_gives_back_the_same_fold,
    who_holds_the_head_is_never_too_late,
    a_head_that_is_let_go_is_as_it_was,
    who_waits_for_the_head_too_long_is_told_so,
    an_append_that_is_abandoned_leaves_a_store_that_works,
    pages_run_from_the_newest_entry_to_the_oldest,
    racers_agree_on_a_fact,
    the_last_word_of_the_newest_stream_is_a_nodes_position,
    an_append_wakes_who_follows,
    the_latest_hour_of_a_credential_stays_until_it_is_gone,
}
