//! What every store must do, whatever it is made of: one suite, run over each backend.

pub(super) mod acts;
pub(super) mod cards;
pub(super) mod cluster;
pub(super) mod custody;
pub(super) mod keys;
pub(super) mod marks;
pub(super) mod records;
mod rows;
pub(super) mod shared;
pub(super) mod shred;
pub(super) mod spent;

pub(super) use rows::{acme, answer, card, content, customer, key, tenant_row};

/// Runs the whole suite; `open` is a function beside the call that makes a fresh, empty store and whatever must live as
/// long.
macro_rules! conformance {
    ($open:ident) => {
        $crate::store::conformance::conformance!($open, cards:
            a_card_comes_back_as_it_went_in, a_token_of_another_tenant_is_not_found, an_expired_card_is_gone_at_once,
            tokens_that_share_their_first_half_are_told_apart, a_taken_token_is_refused_and_nothing_changes,
            one_customer_has_one_row_for_one_card, an_expired_card_is_no_duplicate, many_cards_go_in_together_or_not_at_all,
            a_list_has_every_card_once_in_order, a_list_goes_on_after_a_card_that_was_deleted,
            a_swap_needs_every_part_to_be_as_it_was, a_deleted_card_stays_gone,
            a_token_whose_card_was_deleted_may_be_used_again, the_sweep_sees_the_earliest_end_first,
            a_card_that_was_retained_meanwhile_is_not_swept,
            an_unregistered_tenant_is_refused, envelopes_over_the_limit_are_refused,
            two_racing_swaps_have_one_winner, racing_inserts_of_one_card_make_one_row);
        $crate::store::conformance::conformance!($open, records:
            the_same_idempotency_key_replays, an_answer_has_a_limit_of_its_own, an_answer_that_is_over_makes_room, answers_are_purged_when_their_time_is_over,
            a_secret_comes_back_until_it_is_deleted, the_walk_finds_each_old_envelope_once,
            swapping_envelopes_needs_the_old_one, rotations_are_written_over, rotation_text_over_the_limit_is_refused);
        $crate::store::conformance::conformance!($open, spent:
            a_sealing_is_spent_once, the_same_request_may_spend_again_for_a_day, old_terms_are_forgotten_alone,
            of_many_at_once_one_spends);
        $crate::store::conformance::conformance!($open, keys:
            a_tenant_comes_with_its_keys, a_key_change_that_does_not_fit_changes_nothing,
            a_destroyed_key_has_no_bytes, a_sign_key_leaves_its_public_half_behind,
            each_node_hands_over_by_itself_and_each_term_once, wraps_only_grow,
            keys_over_the_limit_are_refused, what_an_operator_sealed_stays_noted);
        $crate::store::conformance::conformance!($open, marks:
            a_card_under_another_term_is_a_duplicate_all_the_same, an_answer_under_another_term_replays_all_the_same,
            the_walk_finds_each_row_under_an_old_term_once, swapping_marks_needs_the_old_ones,
            a_card_is_found_by_the_fingerprint_that_it_has_now);
        $crate::store::conformance::conformance!($open, shred:
            a_shredded_tenant_keeps_its_name_and_no_key, every_record_of_a_tenant_is_shredded_by_its_place,
            a_deleted_card_takes_the_answers_that_show_it, cards_over_age_are_counted_and_listed_oldest_first,
            what_is_kept_is_found_by_its_name);
        $crate::store::conformance::conformance!($open, shared:
            an_epoch_s_key_is_found_by_its_mailbox_until_its_end, a_cvc_is_opened_once_and_the_same_attempt_may_ask_again,
            what_is_over_is_forgotten_and_nothing_else, what_nodes_share_has_its_limits,
            each_node_hears_what_the_others_said_before_it, a_log_that_is_begun_anew_has_one_term_again);
        $crate::store::conformance::conformance!($open, acts:
            an_act_changes_only_from_what_it_was, acts_that_are_over_go_when_their_time_comes, acts_have_their_limits);
        $crate::store::conformance::conformance!($open, custody:
            the_first_root_is_adopted_and_no_other, a_root_is_swapped_with_all_keys_or_not_at_all,
            a_key_that_came_or_changed_meanwhile_is_not_swapped_away,
            a_key_under_a_root_that_is_not_in_force_is_not_stored, another_division_of_one_root_changes_no_key,
            one_change_of_the_root_is_open_at_a_time, custody_over_the_limits_is_refused,
            an_acknowledgement_is_kept_once_for_each_root);
        $crate::store::conformance::conformance!($open, cluster:
            every_change_that_others_must_know_is_counted, what_others_need_not_know_is_not_counted,
            seals_are_counted_even_after_they_are_lifted, a_beat_shows_every_node_as_it_last_was,
            a_name_is_taken_until_its_run_is_gone, a_lease_has_one_holder_who_is_alive,
            of_many_at_once_one_joins_and_one_leads, what_is_kept_is_swapped_only_from_what_it_was,
            a_cluster_has_its_limits);
    };
    ($open:ident, $part:ident: $($name:ident),* $(,)?) => {
        mod $part {
            $(
                #[tokio::test]
                async fn $name() {
                    let (store, _keep) = super::$open().await;
                    $crate::store::conformance::$part::$name(store).await;
                }
            )*
        }
    };
}

pub(super) use conformance;
